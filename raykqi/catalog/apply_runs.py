"""How events about plans and runs change the index."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from raykqi.catalog.apply_data import bury
from raykqi.catalog.deeds import note_plan_deed, note_run_deed
from raykqi.catalog.folding import Fold, fold
from raykqi.catalog.ports import Port
from raykqi.catalog.rounds import Born
from raykqi.domain.events import (
    BacklogChanged,
    NewData,
    PlanApplied,
    PlanChanged,
    PlanHeld,
    RunCreated,
    RunEnded,
    RunHeld,
    RunRemoved,
    RunRetried,
    RunsMoved,
    RunsRequeued,
)
from raykqi.domain.plan import PlanInput, PlanOutput, PlanSettings
from raykqi.domain.tags import Tag

__all__ = []

SYSTEM = "raykqi"  # who ends runs that nobody stops
GIVEN_UP = 253  # the exit code of runs that a user has stopped before they began, or made fail


@fold.register
def _(event: PlanApplied, state: Fold) -> None:
    definition, settings = event.definition, event.settings
    state.plans = plan = state.plans + 1
    state.round.plans.rows.append(
        (
            plan,
            event.plan,
            event.project,
            definition.name,
            definition.image,
            event.digest,
            settings.active,
            len(definition.inputs),
            len(definition.inputs) == 1 and definition.inputs[0].take == "each",
            definition.priority,
            settings.limits.running,
            settings.limits.pending,
            False,
            "",
            msgspec.json.encode(definition).decode(),
            msgspec.json.encode(settings).decode(),
            event.at,
            event.by,
        )
    )
    for given in definition.inputs:
        number = _add_port(plan, event.project, "input", given, given.tags, state)
        moment = given.timestamp and given.timestamp.astimezone(UTC).replace(tzinfo=None)
        state.round.new_ports.append(Port(number, plan, event.project, given.id, moment, frozenset(given.tags)))
    for output in definition.outputs:
        _add_port(plan, event.project, "output", output, output.tags, state)
    if definition.log is not None:
        _add_port(plan, event.project, "log", PlanOutput("(log)"), definition.log, state)
    state.last_id = max(state.last_id, event.plan)


@fold.register
def _(event: PlanChanged, state: Fold) -> None:
    settings: PlanSettings = event.settings
    state.round.plan_changes.note(
        event.plan,
        active=settings.active,
        running_limit=settings.limits.running,
        pending_limit=settings.limits.pending,
        settings=msgspec.json.encode(settings).decode(),
    )
    note_plan_deed(event, state, event.plan, active=settings.active)


@fold.register
def _(event: BacklogChanged, state: Fold) -> None:
    state.round.plan_changes.note(event.plan, backlog=event.backlog)


@fold.register
def _(event: PlanHeld, state: Fold) -> None:
    state.round.plan_changes.note(event.plan, held=event.reason)


@fold.register
def _(event: RunCreated, state: Fold) -> None:
    into = state.round
    state.runs = run = state.runs + 1
    into.run_numbers[event.run] = run
    cause = msgspec.json.encode(event.cause).decode()
    into.runs.rows.append((run, event.run, event.project, event.plan, event.status, event.at, None, event.by, cause))
    for given in event.inputs:
        into.inputs.rows.append((given.data, run, given.name))
    for number, output in _new_data(event.outputs, event.at, event.by, state):
        into.data.rows.append((number, output.data, event.project, run, *_unmade(output, event.at, event.by)))
    state.last_id = max(state.last_id, event.run, *[output.data for output in event.outputs])


@fold.register
def _(event: RunsMoved, state: Fold) -> None:
    for attempt in event.runs:
        changed: dict[str, object] = {
            "status": event.status,
            "updated": event.at,
            "attempt": attempt.number,
            "reason": event.reason,
        }
        if event.stopping:
            changed["stopping"] = event.stopping
        if event.status == "starting":
            changed |= {"executor": event.executor, "started": None, "node": "", "after": None}
        if event.status == "running":
            changed |= {"started": event.at, "node": event.node}
        state.round.run_changes.note(attempt.run, **changed)
        if event.stopping:
            note_run_deed(event, state, "run.stopped", attempt.run, event.stopping)


@fold.register
def _(event: RunHeld, state: Fold) -> None:
    state.round.run_changes.note(event.run, reason=event.reason)


@fold.register
def _(event: RunsRequeued, state: Fold) -> None:
    for attempt in event.runs:
        changed: dict[str, object] = {} if event.tries is None else {"tries": event.tries}
        state.round.run_changes.note(
            attempt.run,
            status=event.status,
            updated=event.at,
            reason=event.reason,
            after=event.after,
            node="",
            **changed,
        )


@fold.register
def _(event: RunEnded, state: Fold) -> None:
    into = state.round
    into.run_changes.note(
        event.run,
        status=event.status,
        updated=event.at,
        ended=event.at,
        exit_code=event.exit.code,
        exit_message=event.exit.message,
        reason="",
        after=None,
        usage=msgspec.json.encode(event.usage).decode() if event.usage else None,
        reused_from=event.reused_from,
        **({"node": event.node} if event.node else {}),
        **({"started": event.started} if event.started else {}),
    )
    if event.exit.code == GIVEN_UP and event.by != SYSTEM:
        note_run_deed(event, state, "run.stopped", event.run, "fail")
    if event.status == "done":
        into.became_done.update(stored.data for stored in event.stored)
    for stored in event.stored:
        tree = stored.tree
        into.data_changes.note(
            stored.data, status=event.status, timestamp=event.at, tree=tree.hash, size=tree.size, files=tree.files
        )


@fold.register
def _(event: RunRetried, state: Fold) -> None:
    into = state.round
    into.run_changes.note(
        event.run,
        status=event.status, updated=event.at, tries=0, stopping="", started=None, ended=None, exit_code=None,
        exit_message="", reason="", after=None, usage=None, node="", reused_from="",
    )  # fmt: skip
    note_run_deed(event, state, "run.retried", event.run)
    for old in event.replaced:
        bury(old, "removed", event.at, event.by, f"run {event.run} was retried", state)
    for number, output in _new_data(event.outputs, event.at, event.by, state):
        row = (number, output.data, event.project, *_unmade(output, event.at, event.by))
        into.later_data.append((event.run, row))
    state.last_id = max(state.last_id, event.run, *[output.data for output in event.outputs])


@fold.register
def _(event: RunRemoved, state: Fold) -> None:
    state.round.run_changes.note(event.run, status="invalidated", updated=event.at)
    note_run_deed(event, state, "run.removed", event.run, event.reason)
    for data in event.outputs:
        bury(data, "removed", event.at, event.by, event.reason, state)


def _add_port(
    plan: int, project: str, kind: str, port: PlanInput | PlanOutput, tags: tuple[Tag, ...], state: Fold
) -> int:
    state.ports = number = state.ports + 1
    take, data, moment = (port.take, port.id, port.timestamp) if isinstance(port, PlanInput) else ("", "", None)
    state.round.ports.rows.append((number, plan, project, kind, port.name, port.path, take, data, moment, len(tags)))
    state.round.port_tags.rows += [(number, *tag) for tag in tags]
    return number


def _new_data(outputs: Iterable[NewData], at: datetime, by: str, state: Fold) -> Iterable[tuple[int, NewData]]:
    for output in outputs:
        state.data = number = state.data + 1
        state.round.first_tags.add(number, output.tags)
        state.round.born[output.data] = Born(number, output.tags, at, by)
        yield number, output


def _unmade(output: NewData, at: datetime, by: str) -> tuple[object, ...]:
    """The columns of a data whose bytes are still to come."""
    return (output.name, "processing", at, None, by, "", 0, 0)
