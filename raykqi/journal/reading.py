"""Reading a journal in order: entries verified one against the next, from segments and single objects.

Tolerates one thing only, an entry at the very end that its writer did not finish; any other damage,
gap or break of the chain is refused with the name of the object.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from itertools import islice

from raykqi.errors import Damaged, ObjectMissing
from raykqi.journal.codec import GENESIS, Frame, Torn, damaged, entry_key, read_frame
from raykqi.journal.layout import Layout, Segment, look
from raykqi.storage.filesystem import Store

__all__ = ["Chain", "frames", "segment_frames", "whole"]

logger = logging.getLogger(__name__)

READ_AHEAD = 16  # entries requested before they are needed; also the most that lie in memory


class Chain:
    """Checks that every entry continues the one before: number, hash, epoch and time."""

    def __init__(self, after: int, prev: str | None = None) -> None:
        self.seq = after
        self.prev = GENESIS if after == 0 else prev
        self._epoch = 0
        self._time: datetime | None = None

    def add(self, frame: Frame) -> Frame:
        head = frame.header
        if head.seq != self.seq + 1:
            raise damaged(frame.key, f"entry {head.seq} stands where {self.seq + 1} belongs", self.seq + 1)
        if self.prev is not None and head.prev != self.prev:
            what = f"entry {head.seq} follows an entry {head.prev[:12]}…, but entry {self.seq} is {self.prev[:12]}…"
            raise damaged(frame.key, what, head.seq)
        if head.epoch < self._epoch:
            raise damaged(frame.key, f"epoch {head.epoch} follows epoch {self._epoch}", head.seq)
        if self._time is not None and head.time < self._time:
            times = f"its time {head.time.isoformat()} lies before {self._time.isoformat()}, that of the entry before"
            raise damaged(frame.key, times, head.seq)
        self.seq, self.prev, self._epoch, self._time = head.seq, frame.hash, head.epoch, head.time
        return frame


def frames(store: Store, after: int, prev: str | None, layout: Layout) -> Iterator[Frame]:
    """Every entry after `after`, verified. `prev` is the hash of that entry where the caller knows it."""
    chain = Chain(after, prev)
    looked_again_at = 0
    while (needed := chain.seq + 1) <= layout.last:
        segment = layout.covering(needed)
        source = _rest_of(store, segment, needed) if segment else _singles(store, needed, layout)
        try:
            for frame in source:
                yield chain.add(frame)
        except (ObjectMissing, Torn, Damaged) as trouble:
            # While we read, a compaction may have moved the entry or a writer cleared away a torn end.
            needed, layout = chain.seq + 1, look(store, after)
            moved = segment is None and layout.covering(needed) is not None
            if isinstance(trouble, Torn) and needed == layout.last and not moved:
                logger.warning("%s was not finished by its writer and does not count", trouble.key)
                return
            if looked_again_at == needed or (isinstance(trouble, Damaged) and not moved):
                raise _refusal(trouble, needed, layout) from trouble
            looked_again_at = needed


def segment_frames(store: Store, segment: Segment) -> Iterator[Frame]:
    """The entries in a segment, each verified by itself, with bounded memory."""
    key, buffer, start, seq = segment.key, b"", 0, segment.first
    for chunk in store.read(key):
        buffer, start = buffer[start:] + chunk, 0
        while start < len(buffer):
            try:
                frame = read_frame(buffer, start, key)
            except Torn:
                break
            start += len(frame.raw)
            seq = frame.header.seq + 1
            yield frame
    if start < len(buffer) or seq != segment.last + 1:
        raise damaged(key, f"it ends within entry {seq}, not after entry {segment.last}", seq)


def _rest_of(store: Store, segment: Segment, needed: int) -> Iterator[Frame]:
    return (frame for frame in segment_frames(store, segment) if frame.header.seq >= needed)


def _singles(store: Store, first: int, layout: Layout) -> Iterator[Frame]:
    numbers = range(first, layout.singles_end(first) + 1)
    if store.local_path("journal") is not None:
        for seq in numbers:
            yield whole(store.get(entry_key(seq)), seq)
        return

    def fetch(seq: int) -> Frame:
        return whole(store.get(entry_key(seq)), seq)

    with ThreadPoolExecutor(READ_AHEAD, thread_name_prefix="raykqi-journal") as threads:
        upcoming = iter(numbers)
        waiting: deque[Future[Frame]] = deque()
        try:
            waiting.extend(threads.submit(fetch, seq) for seq in islice(upcoming, READ_AHEAD))
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(threads.submit(fetch, seq) for seq in islice(upcoming, 1))
        finally:
            threads.shutdown(wait=True, cancel_futures=True)


def whole(data: bytes, seq: int) -> Frame:
    """The entry that the object of `seq` consists of."""
    key = entry_key(seq)
    frame = read_frame(data, 0, key)
    if len(frame.raw) != len(data):
        raise damaged(key, f"{len(data) - len(frame.raw)} bytes follow its end", seq)
    return frame


def _refusal(trouble: ObjectMissing | Torn | Damaged, seq: int, layout: Layout) -> Damaged:
    if isinstance(trouble, Damaged):
        return trouble
    what = "it ends early" if isinstance(trouble, Torn) else "it is missing"
    return damaged(entry_key(seq), f"{what}, though the journal goes on to entry {layout.last}", seq)
