"""The journal of a workspace: append the next entry, read all of them, follow the newest.

Creating the object of the next number is the fence: of two writers one gets it, the other learns
who did. An append is settled before it answers: what it reports as failed never turns up later.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from blake3 import blake3

from raykqi.domain.events import Event
from raykqi.errors import Damaged, Fenced, ObjectMissing, StorageError
from raykqi.journal.codec import GENESIS, Entry, Torn, damaged, encode, entry_key
from raykqi.journal.layout import Segment, covering, list_segments, look
from raykqi.journal.processes import boot_seconds
from raykqi.journal.reading import Chain, frames, segment_frames, whole
from raykqi.journal.segments import SETTLED_AFTER, compact
from raykqi.journal.settling import OutcomeUnknown, fenced, is_near, place
from raykqi.storage.filesystem import Store

__all__ = ["Journal", "OutcomeUnknown"]


class Journal:
    """Safe to read from many threads; one thread at a time appends.

    `guard` is called before each write, and raises `Fenced` when this process may no longer write.
    """

    def __init__(
        self,
        store: Store,
        *,
        writer: str = "",
        guard: Callable[[], None] = lambda: None,
        trusts_head_for: float = 60.0,
    ) -> None:
        self.writer = writer or f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._store = store
        self._guard = guard
        self._trusts_head_for = trusts_head_for
        self._head = (0, GENESIS)
        self._head_seen = float("-inf")

    def read(self, after: int = 0, prev: str | None = None) -> Iterator[Entry]:
        """Every entry after `after`, in order and verified; `prev` is the hash of `after` if known."""
        seen = boot_seconds()
        layout = look(self._store, after)
        if layout.last < after:
            raise damaged(entry_key(after), "it is missing: the journal ends before it", after)
        for frame in frames(self._store, after, prev, layout):
            yield frame.entry()
            self._saw(frame.header.seq, frame.hash, seen)

    def tail(self, after: int = 0, prev: str | None = None) -> Iterator[Entry]:
        """The same for a reader that is nearly up to date: one request and a short listing if nothing is new."""
        chain = Chain(after, prev)
        seen = boot_seconds()
        data = self._find(after + 1)
        if covering(list_segments(self._store), after + 1):
            yield from self.read(after, prev)
            return
        while data is not None:
            try:
                frame = whole(data, chain.seq + 1)
            except Torn:
                yield from self.read(chain.seq, chain.prev)
                return
            chain.add(frame)
            yield frame.entry()
            self._saw(frame.header.seq, frame.hash, seen)
            seen = boot_seconds()
            data = self._find(chain.seq + 1)

    def append(self, *, seq: int, epoch: int, time: datetime, prev: str, events: Sequence[Event]) -> Entry:
        """Make this entry `seq`. When it returns, the entry is durable and no other writer's can take its place.

        Raises `Fenced` when another entry has that number, `OutcomeUnknown` when nobody can tell;
        after any other error nothing was stored.
        """
        self._guard()
        if self._head != (seq - 1, prev):
            self._check_follows(seq, prev)
        data = encode(seq=seq, epoch=epoch, time=time, prev=prev, writer=self.writer, events=events)
        entry = Entry(seq, epoch, time, prev, self.writer, events, blake3(data).hexdigest())
        began = boot_seconds()
        place(self._store, seq, data)
        try:
            self._check_still_ours(entry)
        except StorageError as e:
            raise OutcomeUnknown(entry_key(seq), e) from e
        self._saw(seq, entry.hash, began)
        return entry

    def compact(self, until: int, *, min_age: float = SETTLED_AFTER) -> Segment | None:
        """Join entries up to `until` into one object; see `segments.compact`."""
        return compact(self._store, until, min_age=min_age)

    def _saw(self, seq: int, digest: str, when: float) -> None:
        self._head, self._head_seen = (seq, digest), when

    def _find(self, seq: int) -> bytes | None:
        try:
            return self._store.get(entry_key(seq))
        except ObjectMissing:
            return None

    def _check_follows(self, seq: int, prev: str) -> None:
        """Refuse to continue another history than the one in the store, for that would break the chain for good."""
        found = GENESIS
        if seq > 1:
            found = next((f.hash for f in frames(self._store, seq - 2, None, look(self._store, seq - 2))), "")
        if found != prev:
            raise Damaged(
                f"{entry_key(seq - 1)} is not the entry that this controller has applied as {seq - 1}",
                hint="The index belongs to another history: rebuild it with `raykqi rebuild`.",
            )

    def _check_still_ours(self, entry: Entry) -> None:
        if not self._store.creates_exclusively:
            try:
                self._guard()
            except Fenced as e:
                raise OutcomeUnknown(entry_key(entry.seq), e) from e
        slept = boot_seconds() - self._head_seen > self._trusts_head_for
        if not slept and not is_near(self._store):
            return
        segment = covering(list_segments(self._store), entry.seq)
        if segment and all(frame.hash != entry.hash for frame in segment_frames(self._store, segment)):
            self._store.delete([entry_key(entry.seq)])
            raise fenced(self._store, entry.seq, f"{segment.key} holds another entry with this number")
