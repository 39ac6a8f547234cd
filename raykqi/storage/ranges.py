"""What to fetch for a pull: neighbours in one object together, far apart ones by themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterable
from dataclasses import dataclass

from raykqi.storage.packs import MIB
from raykqi.storage.trees import Entry, Tree

__all__ = ["STREAM_MIN", "Range", "ranges"]

# Larger files are streamed; smaller ones are fetched together, in ranges up to `RANGE_MAX`.
STREAM_MIN = 16 * MIB
RANGE_MAX = 16 * MIB
# Bytes nobody wants, fetched to save a request.
GAP_MAX = MIB


@dataclass(frozen=True)
class Range:
    """Files that lie close together in one object, by offset."""

    key: str
    start: int
    end: int
    entries: list[Entry]
    keep: int  # size of the object, if so much of it is wanted that the cache should have it; else 0


def ranges(tree: Tree, wanted: Iterable[Entry]) -> Generator[Range, None, None]:
    """What to fetch, object by object."""
    sizes = _sizes(tree)
    by_object: dict[str, list[Entry]] = defaultdict(list)
    for entry in wanted:
        if entry.kind == "file" and entry.size:
            by_object[entry.object].append(entry)
    for key, entries in by_object.items():
        entries.sort(key=lambda entry: entry.offset)
        mostly = 2 * sum([entry.size for entry in entries]) >= sizes[key]
        keep = sizes[key] if mostly and sizes[key] else 0
        for run in _runs(entries):
            end = max(entry.offset + entry.size for entry in run)
            yield Range(key, run[0].offset, end, run, keep)


def _runs(entries: list[Entry]) -> Generator[list[Entry], None, None]:
    """Neighbours, as long as little lies between them and the whole fits into memory."""
    run: list[Entry] = []
    end = 0
    for entry in entries:
        beyond = entry.offset + entry.size
        if run and (entry.offset > end + GAP_MAX or beyond > run[0].offset + RANGE_MAX):
            yield run
            run = []
        run.append(entry)
        end = max(end, beyond)
    if run:
        yield run


def _sizes(tree: Tree) -> dict[str, int]:
    """How much of each object belongs to the tree: for what the tree's push packed, all of it."""
    sizes: dict[str, int] = defaultdict(int)
    for key, size, offset in zip(tree.columns.object, tree.columns.size, tree.columns.offset, strict=True):
        sizes[key] = max(sizes[key], offset + size)
    return sizes
