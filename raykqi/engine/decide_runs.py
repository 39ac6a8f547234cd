"""Decisions about runs: how they start, end, are stopped, tried again and removed."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from raykqi.catalog.facts import Facts
from raykqi.catalog.run_facts import RunFacts
from raykqi.domain.data import TreeRef
from raykqi.domain.events import Event, NewData, RunEnded, RunHeld, RunRemoved, RunRetried, RunsMoved, RunsRequeued
from raykqi.domain.ids import IdMaker
from raykqi.domain.order import Attempt, Stored
from raykqi.domain.plan import BUILTIN_PLANS, LOG_OUTPUT, Definition
from raykqi.domain.run import ENDED, LIVE, Exit, RunStatus
from raykqi.engine.decide import decide, refuse_served
from raykqi.engine.run_commands import (
    EndRun,
    HoldRun,
    LoseRun,
    LoseRuns,
    MoveRuns,
    RemoveRuns,
    RetryRuns,
    ReuseRun,
    StartRuns,
    StopRuns,
)
from raykqi.errors import Conflict, InUse, StaleAttempt, UnknownId, UploadStale

__all__ = ["new_outputs"]

NOTHING = TreeRef("", 0, 0)
BACKOFF_MOST = 3600.0
BLAMELESS_MOST = 5  # a run that takes its machine down each time must not begin again for ever
_STEPS: dict[RunStatus, tuple[RunStatus, ...]] = {
    "starting": ("ready",),
    "running": ("starting",),
    "completing": ("starting", "running"),
    "aborting": ("starting", "running", "completing"),
}


def new_outputs(definition: Definition, ids: IdMaker) -> tuple[NewData, ...]:
    """The data that a run of the plan is going to make; its log is the last of them."""
    made = [NewData(output.name, ids.new(), output.tags) for output in definition.outputs]
    if definition.log is not None:
        made.append(NewData(LOG_OUTPUT, ids.new(), definition.log))
    return tuple(made)


@decide.register
def _(command: StartRuns, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    started = []
    for id_ in command.runs:
        run = facts.runs.get(id_)
        if run is not None and run.status == "waiting":
            run.status, run.attempt = command.status, run.attempt + 1
            started.append(Attempt(id_, run.attempt))
    if not started:
        return []
    return [RunsMoved(now, command.by, command.status, tuple(started), executor=command.executor)]


@decide.register
def _(command: MoveRuns, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    moved = []
    for attempt in command.attempts:
        run = facts.runs.get(attempt.run)
        if run and run.attempt == attempt.number and run.status in _STEPS[command.status] and not run.stopping:
            run.status = command.status
            moved.append(attempt)
    if not moved:
        return []
    return [RunsMoved(now, command.by, command.status, tuple(moved), node=command.node, executor=command.executor)]


@decide.register
def _(command: HoldRun, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    run = facts.runs.get(command.attempt.run)
    if run is None or run.attempt != command.attempt.number or run.status != command.status:
        return []
    return [RunHeld(now, run.id, run.attempt, command.reason)]


@decide.register
def _(command: EndRun, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    ended = command.ended
    run = _current(ended.attempt, facts)
    if ended.generation != facts.generation or facts.condemned:
        raise UploadStale(f"unused objects were collected while run {run.id} stored its outputs", hint="Store again.")
    exit_ = ended.exit
    if run.stopping == "fail":
        exit_ = Exit(253, "aborted by user")
    elif run.stopping == "stop" and exit_.code != 255:
        exit_ = Exit(0, "stopped by user")
    trees = {stored.data: stored.tree for stored in ended.stored}
    if exit_.code == 0 and any(output.data not in trees for output in run.outputs):
        exit_ = Exit(255, "its outputs were not stored")
    if exit_.code and not run.stopping and (again := _again(run, _say(exit_), facts, now, command.by)):
        return again
    status: RunStatus = "failed" if exit_.code else "done"
    was_seen_running = run.status != "starting"
    stored = tuple(Stored(output.data, trees.get(output.data, NOTHING)) for output in run.outputs)
    _end(run, status, facts)
    began = None if was_seen_running else now - timedelta(seconds=ended.usage.wall)
    usage, node = ended.usage, ended.node
    return [RunEnded(now, command.by, run.id, run.attempt, status, exit_, stored, usage, node, started=began)]


@decide.register
def _(command: LoseRun, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    if begun_nowhere := _ready(command.attempt, facts):
        return [_wait_again(begun_nowhere, command, facts, now)]
    run = _current(command.attempt, facts)
    if not run.stopping and (again := _again(run, command.reason, facts, now, command.by, blameless=command.blameless)):
        return again
    exit_ = Exit(253, "aborted by user") if run.stopping == "fail" else Exit(254, command.reason)
    return [_failed(run, exit_, facts, now, command.by)]


@decide.register
def _(command: LoseRuns, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    events: list[Event] = []
    for attempt in command.attempts:
        with suppress(StaleAttempt):
            one = LoseRun(command.by, attempt, command.reason, command.blameless)
            events += decide(one, facts, now, ids)
    return events


@decide.register
def _(command: ReuseRun, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    run, source = _there(command.run, facts), _there(command.source, facts)
    if source.project != run.project:
        raise Conflict(f"run {source.id} is of another project", hint="Run it.")
    if run.status != "waiting":
        raise Conflict(f"run {run.id} is {run.status}", hint="Only runs that wait can take outputs of others.")
    trees = {output.name: output.tree for output in source.outputs if output.status == "done"}
    if source.status != "done" or any(output.name not in trees for output in run.outputs):
        raise Conflict(f"the outputs of run {source.id} are not all there any more", hint="Run it.")
    stored = tuple(Stored(output.data, trees[output.name]) for output in run.outputs)
    _end(run, "done", facts)
    exit_ = Exit(0, f"reused from {source.id}")
    return [RunEnded(now, command.by, run.id, run.attempt, "done", exit_, stored, reused_from=source.id)]


@decide.register
def _(command: StopRuns, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    runs = [_there(id_, facts, command.project) for id_ in dict.fromkeys(command.runs)]
    for run in runs:
        _require_stoppable(run, fail=command.fail)
    events: list[Event] = []
    to: RunStatus = "aborting" if command.fail else "completing"
    for run in runs:
        if run.status in ("deactivated", "waiting", "ready"):
            events.append(_failed(run, Exit(253, "aborted by user"), facts, now, command.by))
            continue
        run.status, run.stopping = to, "fail" if command.fail else "stop"
        attempts = (Attempt(run.id, run.attempt),)
        events.append(
            RunsMoved(now, command.by, to, attempts, stopping=run.stopping, reason=f"stopped by {command.by}")
        )
    return events


@decide.register
def _(command: RetryRuns, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    runs = [_there(id_, facts, command.project) for id_ in dict.fromkeys(command.runs)]
    for run in runs:
        _require_retriable(run)
        _refuse_served(run, facts, "retried")
    events: list[Event] = []
    for run in runs:
        plan = facts.plans[run.plan]
        outputs = new_outputs(plan.definition, ids)
        replaced = tuple(output.data for output in run.outputs)
        run.status = "waiting" if plan.settings.active else "deactivated"
        run.tries, run.stopping = 0, ""
        events.append(RunRetried(now, command.by, run.id, run.status, outputs, replaced, run.project))
    return events


@decide.register
def _(command: RemoveRuns, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    runs = [_there(id_, facts, command.project) for id_ in dict.fromkeys(command.runs)]
    together = {run.id for run in runs}
    for run in runs:
        if run.status not in ENDED:
            raise InUse(
                f"run {run.id} is {run.status}",
                hint=f"End it first: `raykqi run stop --fail {run.id}`; then remove it.",
            )
        _refuse_used(run, "removed", besides=together)
        _refuse_served(run, facts, "removed")
    for run in runs:
        run.status = "invalidated"
    reason = command.reason or "its run was removed"
    return [RunRemoved(now, command.by, run.id, tuple(out.data for out in run.outputs), reason) for run in runs]


def _require_stoppable(run: RunFacts, *, fail: bool) -> None:
    if run.status in ENDED:
        raise Conflict(f"run {run.id} has ended: it is {run.status}", hint="There is nothing to stop.")
    if run.status in ("completing", "aborting"):
        raise Conflict(f"run {run.id} is ending already: it is {run.status}", hint="Wait for it: `raykqi run wait`.")
    if run.status in ("deactivated", "waiting", "ready") and not fail:
        raise Conflict(
            f"run {run.id} has not begun: it is {run.status}, so there is nothing of it to keep",
            hint=f"`raykqi run stop --fail {run.id}` gives it up.",
        )


def _require_retriable(run: RunFacts) -> None:
    if run.plan in BUILTIN_PLANS:
        raise Conflict(f"run {run.id} is an upload or import: it cannot be run again", hint="Push the data again.")
    if run.status not in ("done", "failed"):
        raise Conflict(f"run {run.id} is {run.status}", hint="Only runs that are done or failed can be retried.")
    _refuse_used(run, "retried")
    for name, data, status in run.inputs:
        if status != "done":
            raise Conflict(
                f"run {run.id} cannot be retried: its input {name}, data {data}, is {status}", hint="Push it."
            )


def _refuse_used(run: RunFacts, done: str, besides: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    users = sorted(run.users - besides)
    if users:
        raise InUse(
            f"run {run.id} cannot be {done}: {', '.join(users[:5])} took what it made",
            hint=f"Remove those first: `raykqi run rm {users[-1]}`.",
        )


def _refuse_served(run: RunFacts, facts: Facts, done: str) -> None:
    for output in run.outputs:
        refuse_served(output.data, facts, done)


def _current(attempt: Attempt, facts: Facts) -> RunFacts:
    run = facts.runs.get(attempt.run)
    if run is None or run.attempt != attempt.number or run.status not in LIVE:
        state = "removed" if run is None else f"{run.status} in attempt {run.attempt}"
        raise StaleAttempt(
            f"attempt {attempt.number} of run {attempt.run} comes too late: the run is {state}",
            hint="Its result is dropped; nothing has to be done.",
        )
    return run


def _ready(attempt: Attempt, facts: Facts) -> RunFacts | None:
    """The run, if this attempt has not come to any node yet."""
    run = facts.runs.get(attempt.run)
    return run if run and run.attempt == attempt.number and run.status == "ready" else None


def _wait_again(run: RunFacts, command: LoseRun, facts: Facts, now: datetime) -> Event:
    run.status = "waiting" if facts.plans[run.plan].settings.active else "deactivated"
    return RunsRequeued(now, command.by, (command.attempt,), command.reason, run.status)


def _again(run: RunFacts, reason: str, facts: Facts, now: datetime, by: str, *, blameless: bool = False) -> list[Event]:
    """The run waits again, if it may."""
    plan = facts.plans[run.plan]
    definition = plan.definition
    status: RunStatus = "waiting" if plan.settings.active else "deactivated"
    if blameless and run.attempt - run.tries <= BLAMELESS_MOST:
        run.status = status
        return [RunsRequeued(now, by, (Attempt(run.id, run.attempt),), reason, status)]
    if run.tries >= definition.retries:
        return []
    after = now + timedelta(seconds=min(definition.backoff * 2**run.tries, BACKOFF_MOST))
    run.tries += 1
    run.status = status
    said = f"attempt {run.attempt} failed ({reason}); retry {run.tries} of {definition.retries}"
    return [RunsRequeued(now, by, (Attempt(run.id, run.attempt),), said, status, after, run.tries)]


def _failed(run: RunFacts, exit_: Exit, facts: Facts, now: datetime, by: str) -> Event:
    stored = tuple(Stored(output.data, NOTHING) for output in run.outputs)
    _end(run, "failed", facts)
    return RunEnded(now, by, run.id, run.attempt, "failed", exit_, stored)


def _end(run: RunFacts, status: RunStatus, facts: Facts) -> None:
    run.status = status
    for output in run.outputs:
        if data := facts.data.get(output.data):
            data.run_status = status
            data.status = "done" if status == "done" else "failed"


def _there(id_: str, facts: Facts, project: str = "") -> RunFacts:
    run = facts.runs.get(id_)
    if run is None or run.status == "invalidated" or project not in ("", run.project):
        raise UnknownId(f"there is no run {id_}", hint="`raykqi run find` lists what there is.")
    return run


def _say(exit_: Exit) -> str:
    return exit_.message or f"exit code {exit_.code}"
