"""Which objects of a store are journal entries and segments, and which of them to read for a number.

A segment is several entries in one object, bytes unchanged. An entry that a segment covers is read
from the segment, even when an object of its own is there as well: a writer that slept through a
compaction can recreate one, and it does not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from raykqi.journal.codec import entry_key, seq_of
from raykqi.storage.filesystem import Store

__all__ = ["SEGMENTS", "TORN", "Layout", "Segment", "Single", "covering", "list_segments", "list_singles", "look"]

JOURNAL = "journal"
SEGMENTS = "journal/segments"
TORN = "journal/torn"

_SEGMENT = re.compile(r"journal/segments/(\d{20})-(\d{20})\.jsonl\Z")


class Single(NamedTuple):
    seq: int
    size: int
    modified: float  # by the clock of the storage


class Segment(NamedTuple):
    first: int
    last: int
    size: int = 0

    @property
    def key(self) -> str:
        return f"{SEGMENTS}/{self.first:020d}-{self.last:020d}.jsonl"


class Layout(NamedTuple):
    """What is there. `last` is the highest entry of all, in a segment or on its own."""

    segments: tuple[Segment, ...]
    last: int

    def covering(self, seq: int) -> Segment | None:
        return covering(self.segments, seq)

    def singles_end(self, seq: int) -> int:
        """The last entry, from `seq` on, that has to be read from an object of its own."""
        return min([segment.first - 1 for segment in self.segments if segment.first > seq] + [self.last])


def look(store: Store, after: int = 0) -> Layout:
    """Every segment, and the highest entry; `after` saves listing the single entries before it."""
    # Single entries first: one that is deleted meanwhile is in a segment that is seen afterwards.
    last_single = max((single.seq for single in list_singles(store, max(after - 1, 0))), default=0)
    segments = list_segments(store)
    return Layout(segments, max([last_single] + [segment.last for segment in segments]))


def list_singles(store: Store, after: int = 0) -> Iterator[Single]:
    """The entries after `after` that have an object of their own, ascending."""
    for item in store.list(JOURNAL, after=entry_key(after)):
        seq = seq_of(item.key)
        if not seq:
            return  # segments and torn entries sort behind
        yield Single(seq, item.size, item.modified)


def list_segments(store: Store) -> tuple[Segment, ...]:
    found = ((_SEGMENT.match(item.key), item.size) for item in store.list(SEGMENTS))
    return tuple(Segment(int(name[1]), int(name[2]), size) for name, size in found if name)


def covering(segments: tuple[Segment, ...], seq: int) -> Segment | None:
    """The segment that holds `seq` and reaches furthest."""
    candidates = [segment for segment in segments if segment.first <= seq <= segment.last]
    return max(candidates, key=lambda segment: segment.last, default=None)
