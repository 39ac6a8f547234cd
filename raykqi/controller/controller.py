"""The one writer: commands that arrive together are decided, journalled and indexed as one entry.

A command is answered when its entry is durable. When the entry cannot be written nothing of the
batch happened; when the entry stands but the index cannot follow, the index is made anew.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime

from raykqi.catalog.facts import Answered
from raykqi.catalog.index import IndexDamaged
from raykqi.controller.index_keeper import Advance, IndexKeeper
from raykqi.controller.writer import Writer
from raykqi.domain.events import Event, RequestAnswered
from raykqi.domain.ids import Clock
from raykqi.engine.access_commands import LOOKS_AROUND
from raykqi.engine.commands import Command, Envelope, Purge, Remove
from raykqi.engine.decide import decide
from raykqi.engine.decide_envelope import answered_before, bare, request_of
from raykqi.engine.needs import gather_facts
from raykqi.engine.run_commands import ApplyPlan, ChangePlan, RemoveRuns, RetryRuns
from raykqi.errors import Conflict, Fenced, RaykqiError, StorageError
from raykqi.journal.codec import next_time
from raykqi.journal.log import Journal
from raykqi.journal.ownership import Ownership

__all__ = ["Controller"]

log = logging.getLogger(__name__)

BATCH = 512
TIDY_EVERY = 256  # batches
ALONE = (ApplyPlan, ChangePlan, RetryRuns, RemoveRuns, Purge, Remove, *LOOKS_AROUND)
RACES = 8  # that whoever takes turns may lose one after the other
Decided = tuple[Future[list[Event]], list[Event], list[Event]]  # what is new, and what is answered


@dataclass
class _Job:
    command: Command
    answer: Future[list[Event]] = field(default_factory=Future)


class Controller(Writer):
    """Takes commands from any thread; its own thread commits them, so that Ctrl-C never tears a commit."""

    def __init__(
        self,
        *,
        keeper: IndexKeeper,
        journal: Journal,
        ownership: Ownership,
        clock: Clock,
        lock_timeout: float,
        freshness: float,
    ) -> None:
        super().__init__(keeper=keeper, clock=clock, freshness=freshness)
        self._journal = journal
        self._ownership = ownership
        self._lock_timeout = lock_timeout
        self._epoch, self._own = 0, ""  # of the last entry that this controller wrote, and its hash
        self._fenced: Fenced | None = None
        self._closed = False
        self._since_tidy = 0
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._postponed: _Job | None = None
        self._thread: threading.Thread | None = None
        self.takes_turns = False  # after a lost race decide anew, instead of stopping: nothing was stored
        # Told the events of each entry that was asked for here, with what came of them, by the committing thread.
        self.on_commit: Callable[[Sequence[Event]], None] | None = None
        self._starting = threading.Lock()

    def submit_later(self, command: Command) -> Future[list[Event]]:
        self._require_own_process()
        job = _Job(command)
        job.answer.set_running_or_notify_cancel()  # who waits may go away, but what was submitted is done
        with self._starting:
            if self._closed:
                raise Conflict("the workspace is closed", hint="Open it again.")
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="raykqi-controller", daemon=True)
                self._thread.start()
            self._jobs.put(job)
        return job.answer

    def close(self) -> None:
        if os.getpid() != self._process:
            return
        with self._starting:
            self._closed = True
            if self._thread is not None:
                self._jobs.put(None)
        if self._thread is not None:
            self._thread.join()
        self._ownership.close()

    def _work(self) -> None:
        while True:
            batch = self._next_batch()
            if not batch:
                return
            try:
                self._commit_in_turn(batch)
            except IndexDamaged as error:
                self._again_with_new_index(batch, error)
            except BaseException as error:
                _fail(batch, error)
                if not isinstance(error, Exception):
                    raise

    def _next_batch(self) -> list[_Job]:
        first = self._postponed or self._jobs.get()
        self._postponed = None
        batch = [] if first is None else [first]
        while batch and len(batch) < BATCH and not _is_alone(batch[-1].command):
            try:
                following = self._jobs.get_nowait()
            except queue.Empty:
                break
            if following is None:
                self._jobs.put(None)
                break
            if _is_alone(following.command):
                self._postponed = following
                break
            batch.append(following)
        return batch

    def _again_with_new_index(self, batch: list[_Job], error: IndexDamaged) -> None:
        log.warning("%s", error)
        try:
            self.keeper.rebuild()
            self._commit([job for job in batch if not job.answer.done()])
        except Exception as still:
            _fail(batch, still)

    def _commit_in_turn(self, batch: list[_Job]) -> None:
        for _ in range(RACES if self.takes_turns else 0):
            try:
                return self._commit(batch)
            except Fenced as error:
                log.info("once more, on top of what came first: %s", error.message)
                batch = [job for job in batch if not job.answer.done()]
        return self._commit(batch)

    def _commit(self, batch: list[_Job]) -> None:
        if self._fenced:
            raise self._fenced
        with self._ownership.held(self._lock_timeout), self.keeper.writing:
            self._catch_up()
            decided: list[Decided] = []
            journalled = False
            told: list[Event] = []
            try:
                with self.keeper.advancing() as advance:
                    now = next_time(advance.position.time, self._clock.now())
                    decided = self._decide(batch, advance, now)
                    events = [event for _, new, _ in decided for event in new]
                    if events:
                        told = self._append(events, advance, now)
                        journalled = True
            except (RaykqiError, OSError) as error:
                if not journalled:
                    raise
                # The entry stands, whatever became of the index: it is made anew from the journal.
                log.warning("the index could not follow the journal: %s", error)
                self._rebuild_after(error)
            self._since_tidy += 1
            if self._since_tidy >= TIDY_EVERY:
                self._since_tidy = 0
                self.keeper.sound(self.keeper.tidy)
        with self._changed:
            self._changed.notify_all()
        for answer, _, its_events in decided:
            answer.set_result(its_events)
        if self.on_commit:
            self.on_commit(told)

    def _decide(self, batch: list[_Job], advance: Advance, now: datetime) -> list[Decided]:
        facts = gather_facts(self.keeper.index, [job.command for job in batch])
        self._ids.rise_above(advance.position.last_id)
        decided: list[Decided] = []
        for job in batch:
            try:
                new = decide(job.command, facts, now, self._ids)
                before = answered_before(job.command, facts)
                decided.append((job.answer, new, self._remember(before, job.command) if before else new))
            except RaykqiError as error:
                job.answer.set_exception(error)
        return decided

    def _remember(self, answered: Answered, command: Command) -> list[Event]:
        """What a request with this key came to, when it was carried out."""
        if answered.events is None:
            entry = next(self._journal.read(answered.entry - 1))
            places = (place for place, event in enumerate(entry.events) if _answers(event, command))
            end = next(places)
            told = entry.events[end]
            assert isinstance(told, RequestAnswered)
            answered.events = list(entry.events[end - told.count : end])
        return answered.events

    def _append(self, events: list[Event], advance: Advance, now: datetime) -> list[Event]:
        """The events of the entry: these, and what comes of them."""
        before = advance.position
        # A new epoch after any entry of another writer, however it came into the index.
        epoch = self._epoch if before.hash == self._own else before.epoch + 1
        events = events + self._react(events, advance, now)
        try:
            entry = self._journal.append(seq=before.seq + 1, epoch=epoch, time=now, prev=before.hash, events=events)
        except Fenced as error:
            if not self.takes_turns:
                self._fenced = error
            raise
        except StorageError:
            self._refreshed = float("-inf")
            raise
        advance.reach(entry.seq, entry.hash, entry.epoch, entry.time)
        self._epoch, self._own = entry.epoch, entry.hash
        self._refreshed = time.monotonic()
        return events

    def _rebuild_after(self, error: Exception) -> None:
        try:
            self.keeper.rebuild()
        except (RaykqiError, OSError) as still:
            log.warning("the index could not be made anew after %s: %s", error, still)
            self._refreshed = float("-inf")


def _fail(batch: list[_Job], error: BaseException) -> None:
    for job in batch:
        if not job.answer.done():
            job.answer.set_exception(error)


def _is_alone(command: Command) -> bool:
    """Some decisions look at more than what they name, so nothing else may come with them."""
    return isinstance(bare(command), ALONE) or (isinstance(command, Envelope) and bool(command.expect))


def _answers(event: Event, command: Command) -> bool:
    return isinstance(event, RequestAnswered) and (event.by, event.key) == request_of(command)
