"""Brings waiting runs to nodes and what comes of them back into the journal. Knows no Ray.

One thread does it all, woken by commits, by reports of nodes and by the moment at which a failed run
may try again; it never looks around without a reason. Everything it knows can be lost: a later
dispatcher reads it from the index and adopts what still runs.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import msgspec

from raykqi.catalog.index import Index
from raykqi.catalog.queue import QueuedPlan, attempts_of, next_due, orders_of, queued_plans, under_way, waiting_runs
from raykqi.catalog.quotas import quotas_of, sated_projects
from raykqi.controller.choosing import AT_ONCE, Candidate, Choosing, Chosen
from raykqi.controller.controller import Controller
from raykqi.controller.nodes import Nodes
from raykqi.controller.reusing import without_twins
from raykqi.controller.settling import Settling
from raykqi.domain.access_events import RequestAnswered
from raykqi.domain.events import Event, RunRecorded, RunsMoved, TagsChanged
from raykqi.domain.ids import Clock
from raykqi.domain.order import LONG_FUNCTION, Attempt, Completing, Ended, Lost, Report, Running
from raykqi.domain.resources import Resources
from raykqi.domain.run import RunStatus
from raykqi.engine.admission import Ledger
from raykqi.engine.run_commands import HoldPlan, LoseRuns, MoveRuns, StartRuns, conclude
from raykqi.errors import OwnershipError, StaleAttempt, StorageError, UploadStale
from raykqi.storage.filesystem import Store

if TYPE_CHECKING:
    from raykqi.controller.gate import Gate, LetThrough
    from raykqi.controller.run_tokens import RunTokens
    from raykqi.domain.hooks import Hooks

__all__ = ["Dispatcher"]

log = logging.getLogger(__name__)

BY = "raykqi"
AGAIN = 2.0  # seconds until storage that refused is tried again
NO_WORK = (RunRecorded, TagsChanged, RequestAnswered)  # the runs that come of them are told beside them
NOT_NOW = (StorageError, OwnershipError)  # the storage is away, or another process holds the workspace
P = ParamSpec("P")
Answer = TypeVar("Answer")


class Dispatcher:
    """`limit` bounds what runs may take together, beside what the nodes have; commands get `tokens`."""

    def __init__(
        self,
        controller: Controller,
        nodes: Nodes,
        store: Store,
        *,
        clock: Clock,
        limit: Resources | None = None,
        hooks: Hooks | None = None,
        tokens: RunTokens | None = None,
    ) -> None:
        self._controller = controller
        self._nodes = nodes
        self._store = store
        self._tokens = tokens
        self._clock = clock
        self._ledger = Ledger(limit=limit)
        self._choosing = Choosing(self._ledger)
        self._reports: deque[Report] = deque()
        self._plan_of: dict[Attempt, str] = {}
        self._told_to_stop: set[Attempt] = set()
        self._let_through: list[LetThrough] = []  # by hooks
        self._with_receipt: set[Attempt] = set()  # commands leave one; most functions are too quick for it
        self._gate = self._make_gate(hooks) if hooks and (hooks.before or hooks.after) else None
        self._admit: Callable[[Report], None] = self._gate.admit if self._gate else self._report
        self._settling = Settling(controller, store, self._report, nodes.store_again)
        self._wake = threading.Condition()
        self._is_due = self._may_be_stopped = True
        self._closed = False
        self._idle = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="raykqi-dispatcher", daemon=True)

    def open(self) -> None:
        """Begin: take over what an earlier dispatcher left, then serve the queue."""
        self._controller.on_commit = self.heard
        self._nodes.open(self._admit, self.wake, self._fail)
        self._ledger.shapes = self._nodes.shapes()
        self._take_over()
        self._settling.sweep()
        self._thread.start()

    def heard(self, events: Sequence[Event]) -> None:
        """What was committed in this process."""
        self._may_be_stopped |= any(isinstance(event, RunsMoved) and event.stopping for event in events)
        if any(not isinstance(event, NO_WORK) for event in events):
            self.wake()

    def look_around(self) -> None:
        """Others have committed: anything may be new."""
        self._may_be_stopped = True
        self.wake()

    def wake(self) -> None:
        with self._wake:
            self._is_due, self._idle = True, False
            self._wake.notify_all()

    def wait_until_idle(self, timeout: float | None = None) -> bool:
        """Until nothing runs and nothing that waits can start; False when the time is over."""
        with self._wake:
            done = self._wake.wait_for(lambda: self._idle or self._failure or self._closed, timeout)
        if self._failure:
            raise self._failure
        return bool(done)

    @property
    def running(self) -> int:
        """How many attempts are under way."""
        return len(self._ledger)

    def close(self, *, leave_running: bool = False) -> None:
        with self._wake:
            self._closed = True
            self._wake.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        self._controller.on_commit = None
        ready = self._gate.close() if self._gate else []
        self._settling.close()
        self._nodes.close(leave_running=leave_running)
        if ready and not self._failure:
            self._controller.submit(LoseRuns(BY, tuple(ready), "hooks were asked when the server was stopped"))
        if not leave_running and len(self._ledger) and not self._failure:
            ended = tuple(self._ledger.attempts())
            self._controller.submit(LoseRuns(BY, ended, "what carried it out was stopped", blameless=True))

    def _report(self, report: Report) -> None:
        with self._wake:
            self._reports.append(report)
            self._is_due, self._idle = True, False
            self._wake.notify_all()

    def _work(self) -> None:
        try:
            while not self._closed and not self._failure:
                try:
                    self._take_turn()
                except NOT_NOW as error:
                    log.warning("nothing can be written now, again in %g s: %s", AGAIN, error.message)
                    with self._wake:
                        self._is_due = True
                        self._wake.wait_for(lambda: self._closed, AGAIN)
        except BaseException as error:
            self._fail(error)

    def _take_turn(self) -> None:
        with self._wake:
            reports, self._reports = self._reports, deque()
            self._is_due = False
        try:
            self._take_in(reports)
        finally:
            with self._wake:
                self._reports.extendleft(reversed(reports))  # what could not be taken in
        self._tell_stops()
        if self._gate:
            self._go_on(self._gate)
        self._dispatch()
        self._rest()

    def _ask(self, question: Callable[Concatenate[Index, P], Answer], *given: P.args, **named: P.kwargs) -> Answer:
        """What the index answers, also while it is made anew."""
        keeper = self._controller.keeper
        return keeper.sound(lambda: question(keeper.index, *given, **named))

    def _fail(self, error: BaseException) -> None:
        log.error("the dispatcher has to stop", exc_info=error)
        with self._wake:
            self._failure = error
            self._is_due = True
            self._wake.notify_all()

    def _rest(self) -> None:
        """Until there is a reason to go on."""
        now = self._clock.now()
        due = self._ask(next_due, now)
        pauses = [] if due is None else [max(0.0, (due - now).total_seconds())]
        is_busy = self._settling.is_busy
        if self._gate:
            is_busy = is_busy or self._gate.is_busy
            pause = self._gate.pause()
            pauses += [] if pause is None else [pause]
        with self._wake:
            if not self._is_due and not self._closed:
                self._idle = not len(self._ledger) and due is None and not is_busy
                self._wake.notify_all()
                self._wake.wait_for(lambda: self._is_due or self._closed, min(pauses) + 0.001 if pauses else None)

    def _make_gate(self, hooks: Hooks) -> Gate:
        from raykqi.controller.gate import Gate

        return Gate(hooks, self._controller, clock=self._clock, wake=self.wake, pass_on=self._report, fail=self._fail)

    # What nodes say

    def _take_in(self, reports: deque[Report]) -> None:
        """Those that have been settled are taken out of `reports`."""
        if not reports:
            return
        over = {report.attempt for report in reports if isinstance(report, Ended | Lost)}
        moved: dict[tuple[RunStatus, str], list[Attempt]] = {}
        for report in reports:
            if isinstance(report, Running) and report.attempt not in over:
                moved.setdefault(("running", report.node), []).append(report.attempt)
            elif isinstance(report, Completing) and report.attempt not in over:
                moved.setdefault(("completing", ""), []).append(report.attempt)
        answers = [
            self._controller.submit_later(MoveRuns(BY, status, tuple(attempts), node))
            for (status, node), attempts in moved.items()
        ]
        ends = [report for report in reports if isinstance(report, Ended | Lost)]
        told = [(report, self._controller.submit_later(conclude(BY, report))) for report in ends]
        for answer in answers:
            answer.result()
        unsettled: list[Report] = []
        failure: StorageError | OwnershipError | None = None
        for report, answer in told:
            try:
                self._settle(report, answer)
            except NOT_NOW as error:
                unsettled.append(report)
                failure = error
        reports.clear()
        reports.extend(unsettled)
        if failure:
            raise failure

    def _settle(self, report: Ended | Lost, answer: Future[list[Event]]) -> None:
        attempt = report.attempt
        try:
            events = answer.result()
            if self._gate:
                self._gate.tell(events)
        except UploadStale:
            assert isinstance(report, Ended)
            self._settling.later(report)
            return
        except StaleAttempt as error:
            self._with_receipt.add(attempt)  # or had one, when it was called lost
            log.info("%s", error.message)
        if isinstance(report, Ended):
            if plan := self._plan_of.get(attempt):
                self._choosing.measured(plan, report.usage.wall)
            if attempt in self._with_receipt or report.usage.wall >= LONG_FUNCTION:
                self._settling.clear(attempt)
        self._forget(attempt)
        self._nodes.dismiss(attempt)

    def _forget(self, attempt: Attempt) -> None:
        self._ledger.give_back(attempt)
        self._plan_of.pop(attempt, None)
        self._told_to_stop.discard(attempt)
        self._with_receipt.discard(attempt)

    def _tell_stops(self) -> None:
        if not self._may_be_stopped:
            return
        self._may_be_stopped = False
        try:
            stopped = self._ask(under_way, stopping=True)
        except BaseException:
            self._may_be_stopped = True
            raise
        for run in stopped:
            if run.attempt not in self._told_to_stop:
                self._told_to_stop.add(run.attempt)
                if run.attempt in self._ledger:
                    self._nodes.stop(run.attempt, grace=run.grace)

    # What waits

    def _dispatch(self) -> None:
        now = self._clock.now()
        self._ledger.shapes = self._nodes.shapes()
        self._ledger.quotas = self._controller.keeper.remembered(quotas_of, self._controller.keeper.latest.deeds)
        plans = self._ask(queued_plans, now)
        sated = self._ask(sated_projects, self._ledger.quotas, {plan.project for plan in plans})
        candidates: list[Candidate] = []
        fitting: dict[str, tuple[QueuedPlan, int]] = {}
        absent: set[str] = set()  # runs that hooks are asked about
        for plan in plans:
            reason = self._ledger.why_never(plan.settings.resources, plan.definition)
            if reason != plan.held:
                self._controller.submit(HoldPlan(BY, plan.id, reason))
            room = plan.settings.limits.running - plan.running if plan.settings.limits.running else AT_ONCE
            if reason or room <= 0 or plan.project in sated:
                continue
            if self._choosing.is_full(plan):
                candidates.append((-plan.priority, plan.oldest, "", plan))  # it counts as waiting, and lets others pass
                continue
            if self._gate:
                asked, held = self._gate.absent(plan.id)
                absent.update(held)
                room = max(0, room - asked) if plan.settings.limits.running else room
            fitting[plan.id] = plan, min(room, AT_ONCE)
        most = max([room for _, room in fitting.values()], default=0) + len(absent)
        for plan_id, runs in self._ask(waiting_runs, list(fitting), now, most).items() if fitting else ():
            plan, room = fitting[plan_id]
            runs = [each for each in runs if each[0] not in absent][:room]
            runs = without_twins(self._controller, plan, runs) if plan.definition.reuse else runs
            candidates += [(-plan.priority, number, run, plan) for run, number in runs]
        chosen = self._choosing.choose(candidates)
        for start in range(0, len(chosen), AT_ONCE):
            self._start(chosen[start : start + AT_ONCE])

    def _start(self, chosen: Sequence[Chosen]) -> None:
        if self._gate:
            self._gate.ask_to_start(chosen)  # their places stay taken
            return
        runs = tuple(run for run, _, _ in chosen)
        try:
            events = self._controller.submit(StartRuns(BY, runs, self._nodes.executor))
        finally:
            for run in runs:
                self._ledger.give_back(Attempt(run, 0))
        self._send(events, chosen)

    def _go_on(self, gate: Gate) -> None:
        """Start what hooks have let through; places of what they hold are for others."""
        free, let_through = gate.collect()
        for attempt in free:
            self._ledger.give_back(attempt)
        self._let_through += let_through
        while self._let_through:  # what cannot be written now is tried again at the next turn
            some = self._let_through[:AT_ONCE]
            command = MoveRuns(BY, "starting", tuple(each.attempt for each in some), executor=self._nodes.executor)
            events = self._controller.submit(command)
            del self._let_through[: len(some)]
            for each in some:
                self._ledger.give_back(Attempt(each.attempt.run, 0))
            gate.tell(events)
            self._send(events, [each.chosen for each in some], {each.attempt: each.env for each in some})

    def _send(
        self,
        events: Sequence[Event],
        chosen: Sequence[Chosen],
        env: Mapping[Attempt, dict[str, str]] | None = None,
    ) -> None:
        """Bring to nodes what has become `starting`."""
        started = [attempt for event in events if isinstance(event, RunsMoved) for attempt in event.runs]
        places = {run: (plan, place) for run, plan, place in chosen}
        for attempt in started:
            plan, place = places[attempt.run]
            resources = plan.settings.resources
            self._ledger.take(attempt, place, self._choosing.counted(plan), project=plan.project, whole=resources)
            self._plan_of[attempt] = plan.id
            if not plan.definition.function:
                self._with_receipt.add(attempt)
        keeper = self._controller.keeper
        runs_started = [attempt.run for attempt in started]
        orders = self._ask(orders_of, runs_started, self._store.url, keeper.position.generation)
        if env:
            orders = [msgspec.structs.replace(order, env=env.get(order.attempt, {})) for order in orders]
        self._nodes.start(self._tokens.given(orders) if self._tokens else orders)

    # What was there before

    def _take_over(self) -> None:
        """Runs that an earlier dispatcher started: those of this executor may go on, the others are lost."""
        adopted: list[Attempt] = []
        for run in self._ask(under_way):
            self._plan_of[run.attempt] = run.plan
            self._with_receipt.add(run.attempt)
            names = [shape.name for shape in self._ledger.shapes] or [""]
            node = run.node if run.node in names else names[0]
            self._ledger.take(run.attempt, node, run.resources, project=run.project)
            if run.status == "ready":
                self._report(Lost(run.attempt, "its server ended before it began", blameless=True))
            elif run.executor == self._nodes.executor:
                adopted.append(run.attempt)
            else:
                self._admit(self._settling.what_became_of(run.attempt))
        self._nodes.adopt(adopted)
        self._nodes.sweep(self._is_over)

    def _is_over(self, attempt: Attempt) -> bool:
        """Not of a run that this workspace does not know: others may use the same nodes."""
        current = self._ask(attempts_of, [attempt.run]).get(attempt.run)
        return current is not None and current != attempt
