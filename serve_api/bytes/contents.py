"""The bytes of stored files in pieces, each file held against its hash while it goes by."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing

from blake3 import blake3

from raykqi.domain.tree import Entry
from raykqi.storage.open_file import whole_file
from raykqi.storage.reading import ObjectReader

__all__ = ["file_range", "with_contents"]

TOGETHER = 4 << 20  # small files that lie back to back are read in one request, up to so many bytes
VERIFIED = 8 << 20  # up to this size a part of a file is given out only when the whole is sound


def file_range(reader: ObjectReader, entry: Entry, start: int, end: int) -> Generator[bytes, None, None]:
    """Bytes of one file. Damage shows as an error at the latest before the last of them, if the whole was read.

    Of a part of a large file only the part is read: whoever puts parts together compares the hash.
    """
    if start == 0 and end == entry.size:
        yield from whole_file(reader, entry)
    elif entry.size <= VERIFIED:
        yield b"".join(whole_file(reader, entry))[start:end]
    else:
        yield from reader.stream(entry.object, entry.offset + start, entry.offset + end)


def with_contents(reader: ObjectReader, entries: Iterable[Entry]) -> Iterator[tuple[Entry, Iterable[bytes]]]:
    """Every entry, and of files their bytes; use those before asking for the next entry."""
    for group in _groups(entries):
        if len(group) > 1:
            yield from _together(reader, group)
            continue
        (entry,) = group
        if entry.kind == "file" and entry.size:
            with closing(whole_file(reader, entry)) as pieces:
                yield entry, pieces
        else:
            yield entry, ()


def _together(reader: ObjectReader, files: list[Entry]) -> Iterator[tuple[Entry, Iterable[bytes]]]:
    first = files[0].offset
    data = reader.get(files[0].object, first, files[-1].offset + files[-1].size)
    for entry in files:
        piece = data[entry.offset - first : entry.offset - first + entry.size]
        if blake3(piece).hexdigest() != entry.hash:
            raise reader.damaged(entry.object, entry.path)
        yield entry, (piece,)


def _groups(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Single entries, and runs of files whose bytes lie back to back in one object."""
    group: list[Entry] = []
    size = 0
    for entry in entries:
        is_next = (
            entry.kind == "file"
            and group
            and 0 < entry.size <= TOGETHER - size
            and entry.object == group[-1].object
            and entry.offset == group[-1].offset + group[-1].size
        )
        if group and not is_next:
            yield group
            group, size = [], 0
        if entry.kind == "file" and entry.size:
            group.append(entry)
            size += entry.size
        else:
            yield [entry]
    if group:
        yield group
