"""Compaction: many entries become one object, so that reading a long journal takes few requests.

The bytes of the entries stay as they are. A segment is written whole, read back and verified, and
only then are the single entries deleted, so a crash at any point leaves every entry readable.
A segment takes in the ones before it that are no larger, which keeps their number logarithmic.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

from raykqi.errors import Damaged
from raykqi.journal.codec import Frame, entry_key
from raykqi.journal.layout import Layout, Segment, Single, covering, list_segments, list_singles
from raykqi.journal.reading import Chain, frames, segment_frames
from raykqi.storage.filesystem import Store

__all__ = ["SETTLED_AFTER", "compact"]

SETTLED_AFTER = 15 * 60.0  # seconds; no append of a writer that is awake takes that long


def compact(store: Store, until: int, *, min_age: float = SETTLED_AFTER) -> Segment | None:
    """Join the oldest single entries up to `until`; None when there is nothing to join.

    Left alone are the last entry and those that are not `min_age` seconds older than it, by the
    clock of the storage. Several compactions at once do no harm.
    """
    singles = list(list_singles(store))
    segments = list_segments(store)
    _delete_leftovers(store, singles, segments)
    first = _reach(segments) + 1
    chosen = _settled(singles, first, until, min_age)
    if not chosen:
        return None
    size = sum(single.size for single in chosen)
    absorbed = []
    while (before := covering(segments, first - 1)) and before.size <= size:
        absorbed.append(before)
        first, size = before.first, size + before.size
    segment = Segment(first, chosen[-1].seq, size)
    _write(store, segment, Layout(segments, singles[-1].seq))
    store.delete([entry_key(single.seq) for single in chosen] + [old.key for old in absorbed])
    return segment


def _delete_leftovers(store: Store, singles: list[Single], segments: tuple[Segment, ...]) -> None:
    """Single entries that a segment holds: a compaction ended before it deleted them, or a fenced writer left one."""
    leftovers: dict[Segment, list[str]] = {}
    for single in singles:
        if segment := covering(segments, single.seq):
            leftovers.setdefault(segment, []).append(entry_key(single.seq))
    for segment, keys in leftovers.items():
        _verify(segment, segment_frames(store, segment))
        store.delete(keys)


def _reach(segments: tuple[Segment, ...]) -> int:
    """The last entry that can be read from segments alone, beginning at the first."""
    reached = 0
    while segment := covering(segments, reached + 1):
        reached = segment.last
    return reached


def _settled(singles: list[Single], first: int, until: int, min_age: float) -> list[Single]:
    """The unbroken row of entries from `first` that nobody can be writing any more."""
    head = singles[-1] if singles else Single(0, 0, 0.0)
    row = (single for single in singles if single.seq >= first)
    expected = iter(range(first, min(until, head.seq - 1) + 1))
    return list(
        takewhile(lambda single: single.seq == next(expected, 0) and head.modified - single.modified >= min_age, row)
    )


def _write(store: Store, segment: Segment, layout: Layout) -> None:
    written = ""

    def parts() -> Iterator[bytes]:
        nonlocal written
        for frame in frames(store, segment.first - 1, None, layout):
            if frame.header.seq > segment.last:
                return
            written = frame.hash
            yield bytes(frame.raw)

    store.put_stream(segment.key, parts())
    if _verify(segment, segment_frames(store, segment)) != written:
        raise Damaged(
            f"{segment.key} does not hold what was written to it",
            hint=f"Delete {segment.key}: the entries are still there, each in an object of its own.",
        )


def _verify(segment: Segment, content: Iterator[Frame]) -> str:
    """The hash of the last entry, when every entry of the segment is there and follows the one before."""
    chain = Chain(segment.first - 1)
    for frame in content:
        chain.add(frame)
    return chain.prev or ""
