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

from raykqi.catalog.index import IndexDamaged
from raykqi.controller.index_keeper import Advance, IndexKeeper
from raykqi.domain.events import Event, PlanApplied
from raykqi.domain.ids import Clock, IdMaker
from raykqi.engine import decide_plans, decide_runs  # noqa: F401  they register their decisions
from raykqi.engine.commands import Command, Purge, Remove
from raykqi.engine.decide import decide
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
ALONE = (ApplyPlan, ChangePlan, RetryRuns, RemoveRuns, Purge, Remove)
RACES = 8  # that whoever takes turns may lose one after the other
STALE_POLL = 0.5  # another process may end the collection: nobody tells us


@dataclass
class _Job:
    command: Command
    answer: Future[list[Event]] = field(default_factory=Future)


class Controller:
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
        self.keeper = keeper
        self._journal = journal
        self._ownership = ownership
        self._clock = clock
        self._ids = IdMaker(clock)
        self._freshness = freshness  # seconds for which the index counts as up to date
        self._lock_timeout = lock_timeout
        self._refreshed = float("-inf")
        self._is_current = False  # from the first catching up on
        self._epoch, self._own = 0, ""  # of the last entry that this controller wrote, and its hash
        self._fenced: Fenced | None = None
        self._closed = False
        self._process = os.getpid()
        self._since_tidy = 0
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._postponed: _Job | None = None
        self._thread: threading.Thread | None = None
        self.takes_turns = False  # after a lost race decide anew, instead of stopping: nothing was stored
        # Told the events of each entry that was asked for here, by the committing thread.
        self.on_commit: Callable[[Sequence[Event]], None] | None = None
        self._starting = threading.Lock()
        self._changed = threading.Condition()

    def submit(self, command: Command) -> list[Event]:
        """Do it, durably; the events that it became."""
        return self.submit_later(command).result()

    def submit_later(self, command: Command) -> Future[list[Event]]:
        """The same without waiting: several that are submitted at once share an entry."""
        self._require_own_process()
        job = _Job(command)
        with self._starting:
            if self._closed:
                raise Conflict("the workspace is closed", hint="Open it again.")
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="raykqi-controller", daemon=True)
                self._thread.start()
            self._jobs.put(job)
        return job.answer

    def preview(self, command: Command) -> list[Event]:
        """The events that the command would become now; nothing is changed."""
        self.refresh()
        with self.keeper.writing:
            return self.keeper.sound(lambda: self._preview(command))

    def _preview(self, command: Command) -> list[Event]:
        with self.keeper.trying() as advance:
            now = self._clock.now()
            events = decide(command, gather_facts(self.keeper.index, [command]), now, self._ids)
            return events + self._react(events, advance, now)

    def refresh(self) -> None:
        """Bring the index up to what other processes have written, unless that was just done.

        A commit in progress does it itself, so nobody waits for one here.
        """
        self._require_own_process()
        if not self.keeper.writing.acquire(blocking=not self._is_current):
            return
        try:
            if time.monotonic() - self._refreshed >= self._freshness:
                self._catch_up()
        finally:
            self.keeper.writing.release()

    def wait_for_change(self, generation: int) -> None:
        """Return when the collection that made an upload stale may have ended."""
        with self._changed:
            self._refreshed = float("-inf")
            self.refresh()
            if self.keeper.position.generation == generation:
                self._changed.wait(timeout=STALE_POLL)

    def close(self) -> None:
        """Finish what was submitted, then stop."""
        if os.getpid() != self._process:
            return
        with self._starting:
            self._closed = True
            if self._thread is not None:
                self._jobs.put(None)
        if self._thread is not None:
            self._thread.join()
        self._ownership.close()

    def _require_own_process(self) -> None:
        """After a fork there is no thread that would commit, and DuckDB's own are gone as well."""
        if os.getpid() != self._process:
            raise Conflict("this workspace was opened in another process", hint="Open it again in this one.")

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
        # Some decisions look at more than what they name, so nothing else may come with them.
        while batch and len(batch) < BATCH and not isinstance(batch[-1].command, ALONE):
            try:
                following = self._jobs.get_nowait()
            except queue.Empty:
                break
            if following is None:
                self._jobs.put(None)
                break
            if isinstance(following.command, ALONE):
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
            decided: list[tuple[_Job, list[Event]]] = []
            journalled = False
            try:
                with self.keeper.advancing() as advance:
                    now = next_time(advance.position.time, self._clock.now())
                    decided = self._decide(batch, advance, now)
                    events = [event for _, its_events in decided for event in its_events]
                    if events:
                        self._append(events, advance, now)
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
        for job, its_events in decided:
            job.answer.set_result(its_events)
        if self.on_commit:
            self.on_commit([event for _, its_events in decided for event in its_events])

    def _decide(self, batch: list[_Job], advance: Advance, now: datetime) -> list[tuple[_Job, list[Event]]]:
        facts = gather_facts(self.keeper.index, [job.command for job in batch])
        self._ids.rise_above(advance.position.last_id)
        decided: list[tuple[_Job, list[Event]]] = []
        for job in batch:
            try:
                decided.append((job, decide(job.command, facts, now, self._ids)))
            except RaykqiError as error:
                job.answer.set_exception(error)
        return decided

    def _append(self, events: list[Event], advance: Advance, now: datetime) -> None:
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

    def _react(self, events: list[Event], advance: Advance, now: datetime) -> list[Event]:
        """Apply the events, and then what they cause."""
        if not advance.position.plans and not any(isinstance(event, PlanApplied) for event in events):
            advance.fold(events)
            return []
        from raykqi.controller.reactions import quick_reactions, reactions

        quick = quick_reactions(advance.connection, advance.memory, events, now, self._ids)
        if quick:
            advance.fold(events, quick.cause)
            if quick.is_enough:
                return quick.caused
        else:
            advance.fold(events)
        caused = reactions(advance.connection, advance.memory, events, now, self._ids)
        if caused:
            advance.fold(caused)
        return caused

    def _catch_up(self) -> None:
        self.keeper.catch_up()
        if not self._is_current:
            self.keeper.tidy()
        self._is_current = True
        self._refreshed = time.monotonic()

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
