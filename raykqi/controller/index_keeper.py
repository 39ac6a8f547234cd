"""Keeps the index in step with the journal: catches up, starts over when it is damaged, rebuilds."""

from __future__ import annotations

import gc
import itertools
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar, cast

import msgspec

from raykqi.catalog.following_endpoints import FollowingEndpoints
from raykqi.catalog.index import Connection, Index, IndexDamaged, Position
from raykqi.catalog.memory import Memory
from raykqi.catalog.ports import Ports
from raykqi.domain.events import Event
from raykqi.errors import Damaged, JournalBehind, RaykqiError
from raykqi.journal.codec import Entry
from raykqi.journal.log import Journal
from raykqi.journal.snapshot import Snapshot, latest_snapshot
from raykqi.storage.filesystem import Store

if TYPE_CHECKING:
    from raykqi.catalog.apply import Cause

__all__ = ["IndexKeeper"]

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")

MANY_EVENTS = 20_000
FEW_UNSORTED, UNSORTED_SHARE = 200_000, 0.25
_UNSORTED = "SELECT (SELECT count(*) FROM posting), sorted FROM arrangement"
_MOVE = "UPDATE meta SET value = ? WHERE key = 'position'"


class IndexKeeper:
    """Everything that writes the index passes here, one thread at a time, under `writing`."""

    def __init__(self, store: Store, journal: Journal, index: Index) -> None:
        self.writing = threading.RLock()
        self.index = index
        self._store = store
        self.journal = journal
        self._position: Position | None = None
        self._latest: Position | None = None
        self._answers: dict[Callable[[Index], object], tuple[int, int, object]] = {}
        self._ports: Ports | None = None  # of all plans, as of the last transaction
        self._followers: FollowingEndpoints | None = None  # the same, if anybody has asked
        self.others = 0  # how often something of other processes was found
        self._times_begun = 0
        self._is_whole = True  # not while it is made anew, and what was begun failed

    @property
    def position(self) -> Position:
        # Remembered only under `writing`: a reader that was overtaken must not put an old one back.
        return self._position or self.index.position()

    @property
    def latest(self) -> Position:
        """The same without waiting: while the index is made anew, how far it was before."""
        return self._position or self._latest or self.position

    def remembered(self, question: Callable[[Index], Answer], moment: int) -> Answer:
        """What the index answers to a question of which nothing changes while the number `moment` stays the same.

        The number is to be taken before: an answer that is newer than it does no harm.
        """
        known = self._answers.get(question)
        if known and known[:2] == (self._times_begun, moment):
            return cast("Answer", known[2])
        begun = self._times_begun
        answer = self.sound(lambda: question(self.index))
        self._answers[question] = (begun, moment, answer)
        return answer

    def catch_up(self) -> bool:
        """Apply what other processes have written since; whether there was anything."""
        with self.writing:
            has_more = self._catch_up()
            self.others += has_more
            return has_more

    def _catch_up(self) -> bool:
        with self.writing:
            try:
                self._position = self.position
                if self._position.seq == 0:
                    return self.fill()
                return self._apply(self.journal.tail(self._position.seq, self._position.hash))
            except IndexDamaged as error:
                self._start_over(error.message)
            except JournalBehind:
                raise  # the index may be the only one that knows what the journal has lost
            except Damaged:
                # Damage beyond what the index has: it stays as it is. An index of another history fits no entry.
                if self.position.seq == 0 or self.journal.holds(self.position.seq, self.position.hash):
                    raise
                self._start_over("it belongs to another history than the journal")
            return self.fill()

    def rebuild(self, *, from_snapshot: bool = True) -> None:
        with self.writing:
            self._start_over()
            self.fill(from_snapshot=from_snapshot)

    def sound(self, read: Callable[[], Answer]) -> Answer:
        """The answer of `read`, never out of an index that is being made anew; a damaged one is made anew once."""
        is_mended = False
        while True:
            self._wait_until_whole()
            before = self._times_begun
            try:
                answer = read()
            except IndexDamaged as error:
                if is_mended:
                    raise
                with self.writing:
                    if self._times_begun == before:
                        self._start_over(error.message)
                        is_mended = True
            except RaykqiError:
                if self._times_begun == before:
                    raise
            else:
                if self._times_begun == before:
                    return answer

    @contextmanager
    def advancing(self, *, derived: bool = True) -> Iterator[Advance]:
        """A transaction in which events are applied; the position moves when it ends well."""
        with self.writing:
            before = self.position
            try:
                with self.index.transaction() as connection:
                    advance = Advance(connection, before, derived, self._memory(connection, before, derived))
                    yield advance
                    if advance.position != before:
                        connection.execute(_MOVE, [msgspec.json.encode(advance.position).decode()])
            except BaseException:
                self._position = self._ports = self._followers = None
                raise
            self._position = self._latest = advance.position
            self._ports = advance.memory.ports if derived else None
            self._followers = advance.memory.followers if derived else None

    def _memory(self, connection: Connection, position: Position, derived: bool) -> Memory:
        if not derived:
            return Memory(Ports())
        ports = (self._ports or Ports.load(connection)) if position.ports else Ports()
        return Memory(ports, has_endpoints=position.endpoints > 0, followers=self._followers)

    @contextmanager
    def trying(self) -> Iterator[Advance]:
        """A transaction that is undone, whatever happens in it."""
        with self.writing, suppress(_Undone), self.index.transaction() as connection:
            self._ports = self._followers = None
            yield Advance(connection, self.position, True, self._memory(connection, self.position, True))
            raise _Undone

    def fill(self, *, from_snapshot: bool = True) -> bool:
        """Bring an empty index up to the journal's end."""
        snapshot = self._newest_snapshot() if from_snapshot else None
        try:
            filled = self._fill_from(snapshot)
        except _Unfit as error:
            log.warning("the newest snapshot is left aside: %s", error.message)
            filled = self._fill_from(None)
        self._is_whole = True
        return filled

    def fill_readable(self) -> None:
        """What can be read of a damaged journal, for those who look after it. The index stays unfit for others."""
        with self.writing, self.advancing(derived=False) as advance:
            with suppress(Damaged):
                for entry in self.journal.read():
                    advance.queue(entry)
            advance.apply()

    def _newest_snapshot(self) -> Snapshot | None:
        try:
            return latest_snapshot(self._store)
        except Damaged as error:
            log.warning("the newest snapshot is left aside: %s", error.message)
            return None

    def _wait_until_whole(self) -> None:
        if not self._is_whole:
            with self.writing:
                if not self._is_whole:
                    self.fill()

    def _fill_from(self, snapshot: Snapshot | None) -> bool:
        # Millions of events are made here and none of them in a cycle: looking for some costs half the time.
        collecting = gc.isenabled()
        gc.disable()
        try:
            return self._fill_tables(snapshot)
        finally:
            if collecting:
                gc.enable()

    def _fill_tables(self, snapshot: Snapshot | None) -> bool:
        with self.advancing(derived=False) as advance:
            if snapshot:
                advance.position = self._load(snapshot, advance.connection)
            start = advance.position
            for entry in self.journal.read(start.seq, start.hash if start.seq else None):
                advance.queue(entry)
            advance.apply()
            if advance.position == Position():
                return False
            from raykqi.catalog.apply import derive

            derive(advance.connection)
        return True

    def _load(self, snapshot: Snapshot, connection: Connection) -> Position:
        from raykqi.catalog.snapshot import load_snapshot

        if not self.journal.holds(snapshot.seq, snapshot.hash):
            raise _Unfit(f"the one at entry {snapshot.seq} belongs to another history than the journal")
        try:
            return load_snapshot(snapshot, connection)
        except IndexDamaged:
            raise
        except Damaged as error:
            raise _Unfit(error.message) from error

    def tidy(self) -> bool:
        """Sort the postings when so many lie unsorted that `find` would feel it; whether it was needed."""
        with self.writing:
            ((count, tidy),) = self.index.rows(_UNSORTED)
            if count - tidy <= max(FEW_UNSORTED, tidy * UNSORTED_SHARE):
                return False
            from raykqi.catalog.apply import sort_postings

            with self.index.transaction() as connection:
                sort_postings(connection)
        return True

    def _apply(self, entries: Iterable[Entry]) -> bool:
        entries = iter(entries)
        first = next(entries, None)
        if first is None:
            return False
        with self.advancing() as advance:
            for entry in itertools.chain([first], entries):
                advance.queue(entry)
            advance.apply()
        return True

    def _start_over(self, reason: str = "") -> None:
        if reason:
            log.warning("the index is made anew: %s", reason)
        self._is_whole = False
        self._times_begun += 1
        self._position = self._ports = self._followers = None
        self.index.start_over()


class _Undone(Exception):
    """Ends a transaction that was only to see what would come of it."""


class _Unfit(Damaged):
    """A snapshot that cannot be used; the journal can."""


class Advance:
    """An open transaction of the index, and the position that it will leave behind."""

    def __init__(self, connection: Connection, position: Position, derived: bool, memory: Memory) -> None:
        self.connection = connection
        self.memory = memory
        self.position = position
        self._derived = derived
        self._waiting: list[Event] = []
        self._last: Entry | None = None

    def queue(self, entry: Entry) -> None:
        self._waiting += entry.events
        self._last = entry
        if len(self._waiting) >= MANY_EVENTS:
            self.apply()

    def apply(self) -> None:
        """Apply the entries that were queued."""
        if self._last is None:
            return
        self.fold(self._waiting)
        last = self._last
        self.reach(last.seq, last.hash, last.epoch, last.time)
        self._waiting, self._last = [], None

    def fold(self, events: Iterable[Event], cause: Cause | None = None) -> None:
        from raykqi.catalog.apply import apply_events

        self.position = apply_events(
            self.connection, self.position, events, memory=self.memory, derived=self._derived, cause=cause
        )

    def reach(self, seq: int, hash_: str, epoch: int, time: datetime) -> None:
        self.position = msgspec.structs.replace(self.position, seq=seq, hash=hash_, epoch=epoch, time=time)
