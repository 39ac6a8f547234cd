"""Read one file of a tree as a stream.

Small files are verified before their first byte is given out. Of large ones the last piece is held
back until the whole is verified, so that nobody mistakes damaged bytes for the complete file.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

from blake3 import blake3

from raykqi.errors import InvalidInput, NotFound, UnsafePath
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store
from raykqi.storage.links import EndlessLink, OutsideLink, follow_links
from raykqi.storage.reading import ObjectReader
from raykqi.storage.trees import Entry, Tree

__all__ = ["find_file", "open_file", "whole_file"]


def open_file(store: Store, tree: Tree, path: str, *, settings: Settings) -> Generator[bytes, None, None]:
    """The bytes of the file at `path`; a link is followed within the tree. Errors of the path show at once."""
    entry = find_file(tree, path)
    return _closing(ObjectReader(store, settings), entry)


def whole_file(reader: ObjectReader, entry: Entry) -> Generator[bytes, None, None]:
    """All bytes of a file; what was given out is complete only when the iterator ends without an error."""
    hasher = blake3()
    held = b""
    if entry.size:
        for piece in reader.stream(entry.object, entry.offset, entry.offset + entry.size):
            hasher.update(piece)
            if held:
                yield held
            held = piece
    if hasher.hexdigest() != entry.hash:
        raise reader.damaged(entry.object, entry.path)
    if held:
        yield held


def _closing(reader: ObjectReader, entry: Entry) -> Generator[bytes, None, None]:
    with closing(reader), closing(whole_file(reader, entry)) as pieces:
        yield from pieces


def find_file(tree: Tree, path: str) -> Entry:
    """The file at `path`; a link is followed within the tree."""
    asked = path.removeprefix("./").rstrip("/")
    if any(part in ("", ".", "..") for part in asked.split("/")):
        raise _missing(f"the data has no {path!r}")
    place = _follow(tree, asked)
    entry = tree.get(place)
    if entry is not None and entry.kind == "file":
        return entry
    if entry is not None or not place:
        raise InvalidInput(f"{path!r} is a folder", hint="Name a file, or pull the folder.")
    if place != asked:
        raise _missing(f"{path!r} leads to {place!r}, which the data does not have")
    raise _missing(f"the data has no {path!r}")


def _follow(tree: Tree, asked: str) -> str:
    def target_of(at: str) -> str | None:
        entry = tree.get(at)
        return entry.object if entry is not None and entry.kind == "link" else None

    try:
        return follow_links(asked, target_of)
    except OutsideLink as outside:
        raise UnsafePath(
            f"{asked!r} leads out of the data: the link {outside.link!r} points to {outside.target!r}",
            hint="`raykqi data ls -l` shows where links lead; what lies outside was not stored.",
        ) from outside
    except EndlessLink as endless:
        raise InvalidInput(f"the link {asked!r} leads in a circle", hint="Name the file itself.") from endless


def _missing(message: str) -> NotFound:
    return NotFound(message, hint="List what is there with `raykqi data ls`.")
