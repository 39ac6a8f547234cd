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
from raykqi.errors import Damaged, Fenced, JournalBehind, ObjectMissing, StorageError
from raykqi.journal.codec import GENESIS, Entry, Torn, encode, entry_key
from raykqi.journal.layout import Segment, covering, list_segments, look
from raykqi.journal.processes import boot_seconds
from raykqi.journal.reading import Chain, frames, segment_frames, whole
from raykqi.journal.segments import SETTLED_AFTER, compact
from raykqi.journal.settling import OutcomeUnknown, fenced, is_near, place
from raykqi.journal.snapshot import read_snapshot
from raykqi.storage.filesystem import ObjectInfo, Store

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
        self._unchanged: object = None

    def read(self, after: int = 0, prev: str | None = None) -> Iterator[Entry]:
        """Every entry after `after`, in order and verified; `prev` is the hash of `after` if known."""
        seen = boot_seconds()
        layout = look(self._store, after)
        if layout.last < after:
            if prev is None or not self._is_kept(after, prev):
                raise self._behind(after)
            return
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
        if data is None and prev is not None:
            self._check_unchanged(after, prev)
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

    def holds(self, seq: int, digest: str) -> bool:
        """Whether entry `seq` is the one with this hash. `Damaged` when that cannot be told."""
        if seq == 0:
            return digest == GENESIS
        layout = look(self._store, seq - 1)
        if layout.last < seq:
            if self._is_kept(seq, digest):
                return True
            raise self._behind(seq)
        try:
            return next(frames(self._store, seq - 1, None, layout)).hash == digest
        except Damaged:
            if self._is_kept(seq, digest):
                return True
            raise

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
        if is_near(self._store):
            # What was just written need not be read back to know that it is unchanged.
            self._unchanged = (seq, entry.hash, self._store.info(entry_key(seq)))
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
        if not self.holds(seq - 1, prev):
            raise Damaged(
                f"{entry_key(seq - 1)} is not the entry that this controller has applied as {seq - 1}",
                hint="The index belongs to another history: rebuild it with `raykqi rebuild`.",
            )

    def _check_unchanged(self, seq: int, digest: str) -> None:
        """The entry that a reader has come to is there still, and no other was put in its place."""
        if seq == 0:
            return
        where: ObjectInfo | Segment | None
        try:
            where = self._store.info(entry_key(seq))
        except ObjectMissing:
            where = covering(list_segments(self._store), seq)
        seen = (seq, digest, where)
        if seen != self._unchanged:
            self._check_follows(seq + 1, digest)
            self._unchanged = seen

    def _is_kept(self, seq: int, digest: str) -> bool:
        """A snapshot knows all that an entry said which is lost itself."""
        try:
            return read_snapshot(self._store, seq).hash == digest
        except (ObjectMissing, Damaged):
            return False

    def _behind(self, seq: int) -> JournalBehind:
        return JournalBehind(
            f"the journal of {self._store.url} ends at entry {look(self._store).last}, but entry {seq} was seen in it",
            hint="If the workspace was replaced or restored on purpose, `raykqi rebuild --from-journal` takes it as it "
            "is. If not, restore the journal's end from a backup; `raykqi fsck --repair` keeps what the index knows.",
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
