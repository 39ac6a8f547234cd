"""Where runs wait for hooks: each step that the dispatcher makes passes here when there are any.

Steps are made by threads of the gate; what concerns places on nodes it leaves to the dispatcher, which
collects it. Whatever is in here can be lost: a run that was `ready` waits again after a restart, and
what its node reports comes again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, NoReturn

from raykqi.catalog.queue import QueuedPlan
from raykqi.catalog.run_queries import get_runs, statuses_of
from raykqi.controller.controller import Controller
from raykqi.controller.hooks import Asking, Refused, Telling
from raykqi.controller.lanes import Held, Lanes, backoff
from raykqi.controller.posting import THREADS
from raykqi.domain.events import Event, RunEnded, RunsMoved
from raykqi.domain.hooks import Hooks
from raykqi.domain.ids import Clock, IdMaker
from raykqi.domain.order import Attempt, Completing, Ended, Lost, Report, Running
from raykqi.domain.run import Run, RunStatus
from raykqi.engine.decide import decide
from raykqi.engine.needs import gather_facts
from raykqi.engine.run_commands import HoldRun, MoveRuns, StartRuns, conclude
from raykqi.errors import OwnershipError, RaykqiError, StaleAttempt, StorageError, UnknownId, UploadStale

__all__ = ["Chosen", "Gate", "LetThrough"]

log = logging.getLogger(__name__)

BY = "raykqi"
AT_ONCE = 32  # questions
FIRST, LONGEST = 1.0, 30.0  # seconds until a hook is asked again
Chosen = tuple[str, QueuedPlan, str]  # a run, its plan, and the place that is taken for it


class LetThrough(NamedTuple):
    """A run that is `ready` and may start, with variables for its environment."""

    chosen: Chosen
    attempt: Attempt
    env: dict[str, str]


@dataclass
class _Start:
    chosen: Chosen
    attempt: Attempt | None = None  # from `ready` on


@dataclass(frozen=True)
class _Away:
    """A run that waits, and is not to be chosen before `until`."""

    plan: str
    until: float
    failures: int


class Gate:
    """`wake` is called when there is something to collect, `pass_on` with ends of runs that may be taken in."""

    def __init__(
        self,
        hooks: Hooks,
        controller: Controller,
        *,
        clock: Clock,
        wake: Callable[[], None],
        pass_on: Callable[[Report], None],
        fail: Callable[[BaseException], None],
    ) -> None:
        self._controller = controller
        self._clock = clock
        self._wake = wake
        self._pass_on = pass_on
        self._fail = fail
        self._asking = Asking(hooks)
        self._telling = Telling(hooks)
        self._lanes = Lanes(most=AT_ONCE, first=FIRST, longest=LONGEST, thread_name=f"{THREADS}-before", emptied=wake)
        self._lock = threading.Lock()
        self._starts: dict[str, _Start] = {}
        self._away: dict[str, _Away] = {}
        self._held: dict[Hashable, tuple[str, str]] = {}  # lanes: their run, and its status when it was held
        self._free: list[Attempt] = []
        self._let_through: list[LetThrough] = []
        self._is_closed = False

    # What the dispatcher does, in its own thread

    def ask_to_start(self, chosen: Sequence[Chosen]) -> None:
        for each in chosen:
            with self._lock:
                self._starts[each[0]] = _Start(each)
            self._lanes.add(each[0], partial(self._guarded, partial(self._start, each[0])))

    def admit(self, report: Report) -> None:
        """A report of a node; what comes of it is in the order of the reports on the attempt."""
        if isinstance(report, Completing):
            return  # whether it completes or aborts is known with its end
        step = partial(self._run, report) if isinstance(report, Running) else partial(self._end, report)
        self._lanes.add(report.attempt, partial(self._guarded, step))

    def absent(self, plan: str) -> tuple[int, Collection[str]]:
        """How many runs of the plan that wait are asked about now; and which are not to be chosen at the moment."""
        now = time.monotonic()
        with self._lock:
            asked = [run for run, start in self._starts.items() if start.chosen[1].id == plan]
            waiting = sum(self._starts[run].attempt is None for run in asked)
            return waiting, {*asked, *(run for run, away in self._away.items() if away.until > now)}

    def collect(self) -> tuple[list[Attempt], list[LetThrough]]:
        """Attempts whose places are free (number 0 for runs that were chosen), and those that may start."""
        self._look_at_held()
        with self._lock:
            free, self._free = self._free, []
            let_through, self._let_through = self._let_through, []
            for each in let_through:
                self._starts.pop(each.attempt.run, None)
        return free, let_through

    def pause(self) -> float | None:
        """Seconds until a run may be chosen again that a hook had refused."""
        now = time.monotonic()
        with self._lock:
            return min((away.until - now for away in self._away.values() if away.until > now), default=None)

    @property
    def is_busy(self) -> bool:
        return len(self._lanes) > 0 or bool(self._starts) or self.pause() is not None

    def tell(self, events: Sequence[Event]) -> None:
        """The hooks that want to know what has become of runs."""
        for event in events:
            if isinstance(event, RunsMoved):
                self._tell([attempt.run for attempt in event.runs], event.status)
            elif isinstance(event, RunEnded):
                self._tell([event.run], event.status)

    def close(self) -> list[Attempt]:
        """The attempts that were `ready`, and are nobody's now."""
        self._is_closed = True
        self._lanes.close()
        self._asking.close()
        self._telling.close()
        with self._lock:
            return [start.attempt for start in self._starts.values() if start.attempt]

    def _look_at_held(self) -> None:
        """What was stopped or given up meanwhile need not wait for its hook."""
        with self._lock:
            held, away = dict(self._held), set(self._away)
        if not held and not away:
            return
        index = self._controller.keeper.index
        now = statuses_of(index, list({run for run, _ in held.values()} | away))
        self._lanes.hurry([key for key, (run, status) in held.items() if now.get(run) != status])
        with self._lock:
            for run in away:
                if now.get(run) != "waiting":
                    self._away.pop(run, None)

    # Steps, in threads of the gate

    def _guarded(self, step: Callable[[], None]) -> None:
        """As in the dispatcher, an error that nobody expects is the end of it all."""
        if self._is_closed:
            raise Held
        try:
            step()
        except Held:
            raise
        except (StorageError, OwnershipError) as error:
            log.warning("nothing can be written now, the step is made again: %s", error.message)
            raise Held from error
        except BaseException as error:
            if self._is_closed:
                raise Held from error
            self._fail(error)
            raise Held from error

    def _start(self, run: str) -> None:
        start = self._starts[run]
        found = self._look_up(run)
        if found and found.status == "waiting" and start.attempt is None:
            try:
                self._asking.ask(found)
            except Refused as refusal:
                self._say(found, refusal)
                self._send_away(start)
                return
            found = self._make_ready(start)
        elif found and found.status == "ready" and start.attempt is None:
            start.attempt = Attempt(run, found.attempt)  # it was stored, though the storage failed to say so
        if found is None or found.status != "ready" or start.attempt != Attempt(run, found.attempt):
            self._give_up(run)
            return
        try:
            env = self._asking.ask(found)
        except Refused as refusal:
            self._hold(run, found, refusal, free=Attempt(run, 0))
        with self._lock:
            self._held.pop(run, None)
            self._let_through.append(LetThrough(start.chosen, start.attempt, env))
        self._wake()

    def _make_ready(self, start: _Start) -> Run | None:
        run = start.chosen[0]
        if self._is_closed:
            raise Held
        events = self._controller.submit(StartRuns(BY, (run,), "", "ready"))
        self.tell(events)
        with self._lock:
            self._away.pop(run, None)
            for event in events:
                if isinstance(event, RunsMoved):
                    start.attempt = event.runs[0]
        self._wake()  # its plan has room again for as many as there is room
        return self._look_up(run) if start.attempt else None

    def _send_away(self, start: _Start) -> None:
        """Until later; its place is for others meanwhile."""
        run, plan, _ = start.chosen
        with self._lock:
            before = self._away.get(run)
            failures = before.failures + 1 if before else 0
            self._away[run] = _Away(plan.id, time.monotonic() + backoff(failures, FIRST, LONGEST), failures)
        self._give_up(run)

    def _give_up(self, run: str) -> None:
        with self._lock:
            self._starts.pop(run, None)
            self._held.pop(run, None)
            self._free.append(Attempt(run, 0))
        self._wake()

    def _run(self, report: Running) -> None:
        found = self._current(report.attempt)
        if found is None or found.status != "starting":
            with self._lock:
                self._held.pop(report.attempt, None)
            return
        self._ask(report.attempt, found)
        self.tell(self._controller.submit(MoveRuns(BY, "running", (report.attempt,), report.node)))

    def _end(self, report: Ended | Lost) -> None:
        attempt = report.attempt
        to = self._foresee(report)
        found = self._current(attempt)
        if to and found:
            if found.status != to and (found.status in ("starting", "running") or to == "aborting"):
                self._ask(attempt, found, free=True)
                self.tell(self._controller.submit(MoveRuns(BY, to, (attempt,))))
                found = self._current(attempt) or found
            self._ask(attempt, found, free=True)
        with self._lock:
            self._held.pop(attempt, None)
        self._pass_on(report)

    def _foresee(self, report: Ended | Lost) -> RunStatus | None:
        """The state before the run's end, if this is its end; None if it waits again, or this comes too late."""
        keeper = self._controller.keeper
        command = conclude(BY, report)

        def events() -> list[Event]:
            return decide(command, gather_facts(keeper.index, [command]), self._clock.now(), IdMaker(self._clock))

        try:
            ends = [event for event in keeper.sound(events) if isinstance(event, RunEnded)]
        except (StaleAttempt, UploadStale):
            return None
        if not ends:
            return None
        return "completing" if ends[0].status == "done" else "aborting"

    def _ask(self, attempt: Attempt, found: Run, *, free: bool = False) -> None:
        try:
            self._asking.ask(found)
        except Refused as refusal:
            self._hold(attempt, found, refusal, free=attempt if free else None)
        with self._lock:
            self._held.pop(attempt, None)
        if self._is_closed:
            raise Held

    def _hold(self, key: Hashable, found: Run, refusal: Refused, *, free: Attempt | None) -> NoReturn:
        self._say(found, refusal)
        with self._lock:
            self._held[key] = (found.id, found.status)
            if free:
                self._free.append(free)
        self._wake()
        raise Held

    def _say(self, found: Run, refusal: Refused) -> None:
        """Once, not at each try: a journal is no place for that."""
        log.info("run %s stays %s: %s", found.id, found.status, refusal.kind)
        if refusal.kind not in found.reason and not self._is_closed:
            attempt = Attempt(found.id, found.attempt)
            self._controller.submit(HoldRun(BY, attempt, found.status, refusal.reason))

    def _current(self, attempt: Attempt) -> Run | None:
        found = self._look_up(attempt.run)
        return found if found and found.attempt == attempt.number else None

    def _look_up(self, run: str) -> Run | None:
        keeper = self._controller.keeper
        try:
            return keeper.sound(lambda: get_runs(keeper.index, [run])[0])
        except UnknownId:
            return None

    def _tell(self, runs: Sequence[str], status: RunStatus) -> None:
        keeper = self._controller.keeper
        try:
            self._telling.tell(keeper.sound(lambda: get_runs(keeper.index, runs)), status)
        except RaykqiError as error:
            log.info("hooks are not told: %s", error.message)
