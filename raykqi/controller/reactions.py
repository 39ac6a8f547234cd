"""What a batch of events causes: new runs, in the same transaction and the same journal entry (P5).

Reads the open transaction, after the batch has been applied to it; decides nothing that is not in the
events it answers (P10).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from raykqi.catalog.apply import ROUND_EVENTS
from raykqi.catalog.index import Connection
from raykqi.catalog.matching import (
    Assignment,
    PlanToMatch,
    assignments_of_plain,
    assignments_of_plan,
    backlogged_plans,
    numbers_of,
    plans_to_match,
    single_assignments,
    single_inputs,
    takers,
)
from raykqi.catalog.memory import Memory
from raykqi.catalog.ports import Candidate
from raykqi.domain.events import (
    BacklogChanged,
    Event,
    PlanApplied,
    PlanChanged,
    RunCreated,
    RunEnded,
    RunInput,
    RunRecorded,
    RunRemoved,
    TagsChanged,
)
from raykqi.domain.ids import IdMaker
from raykqi.domain.plan import CODE_INPUT
from raykqi.domain.run import Cause
from raykqi.engine.decide_runs import new_outputs

__all__ = ["QuickReactions", "quick_reactions", "reactions"]

# A backlog is looked through again when this share of what may wait has become free.
REFILL_SHARE = 10


@dataclass
class _Triggers:
    """What of the batch may bring runs about, and why each of it would."""

    data: dict[str, Cause] = field(default_factory=dict)
    tagged: set[str] = field(default_factory=set)
    plans: dict[str, Cause] = field(default_factory=dict)
    may_free: bool = False  # runs have ended, or limits changed: backlogs may go on


def reactions(
    connection: Connection, memory: Memory, events: Sequence[Event], now: datetime, ids: IdMaker
) -> list[Event]:
    """The runs that these events cause."""
    triggers = _triggers(events)
    if triggers.may_free:
        for id_ in backlogged_plans(connection):
            triggers.plans.setdefault(id_, Cause("backlog"))
    if not triggers.plans and not triggers.tagged and not memory.matches:
        return []
    fresh: dict[int, set[int]] = {}  # of each plan, the data that just became done
    for port, data in memory.matches:
        fresh.setdefault(memory.ports.plan_of[port], set()).add(data)
    # Of data that became done and was tagged in one batch, everything is fresh.
    tagged = set(numbers_of(connection, triggers.tagged).values()).difference(*fresh.values())
    plans = plans_to_match(connection, numbers={*fresh, *takers(connection, tagged)}, ids=triggers.plans)
    caused: list[Event] = []
    for plan, found in _assignments(connection, plans, fresh, tagged, triggers):
        for assignment in found[: max(0, plan.room)]:
            cause = triggers.data.get(assignment.trigger) or triggers.plans.get(plan.id) or Cause("backlog")
            caused.append(_created(plan, assignment, cause, now, ids))
        if (has_more := len(found) > plan.room) != plan.backlog and (has_more or plan.id in triggers.plans):
            caused.append(BacklogChanged(now, plan.id, has_more))
    return caused


class QuickReactions:
    """For the most usual batch, data that was pushed: what plans with one plain input make of it.

    It is found before anything of the batch is written, so that both are written together.
    """

    def __init__(
        self, connection: Connection, memory: Memory, triggers: _Triggers, now: datetime, ids: IdMaker
    ) -> None:
        self.caused: list[Event] = []
        self.is_enough = False
        self._connection = connection
        self._memory = memory
        self._triggers = triggers
        self._now = now
        self._ids = ids

    def cause(self, fresh: Sequence[Candidate]) -> Sequence[Event]:
        if self._memory.has_endpoints and self._are_followed(fresh):
            return ()  # which models endpoints shall serve is known when they are written
        ports = self._memory.ports
        taken: dict[int, dict[int, str]] = {}
        for data in fresh:
            for port in ports.matched_by(data):
                taken.setdefault(ports.plan_of[port], {})[data.number] = data.id
        plans = plans_to_match(self._connection, numbers=taken, ids=()) if taken else []
        if any(not plan.is_plain or plan.backlog or len(taken[plan.number]) > plan.room for plan in plans):
            return ()  # what was pushed is written, and then all that there is is looked at
        by_id = {plan.id: plan for plan in plans}
        for assignment in single_assignments(plans, taken):
            cause = self._triggers.data[assignment.trigger]
            self.caused.append(_created(by_id[assignment.plan], assignment, cause, self._now, self._ids))
        self.is_enough = True
        return self.caused

    def _are_followed(self, fresh: Sequence[Candidate]) -> bool:
        followers = self._memory.following(self._connection)
        return any(followers.of(data.project, data.tags) for data in fresh)


def quick_reactions(
    connection: Connection, memory: Memory, events: Sequence[Event], now: datetime, ids: IdMaker
) -> QuickReactions | None:
    """None when the batch holds anything but new data."""
    if len(events) > ROUND_EVENTS or not all(isinstance(event, RunRecorded) for event in events):
        return None
    return QuickReactions(connection, memory, _triggers(events), now, ids)


def _triggers(events: Iterable[Event]) -> _Triggers:
    triggers = _Triggers()
    for event in events:
        if isinstance(event, RunRecorded):
            triggers.data |= {out.data: Cause("data", event.by, out.data) for out in event.outputs}
        elif isinstance(event, RunEnded):
            triggers.may_free = True
            if event.status == "done":
                triggers.data |= {out.data: Cause("data", event.by, out.data) for out in event.stored}
        elif isinstance(event, TagsChanged) and event.added:
            triggers.data[event.data] = Cause("tags", event.by, event.data, event.added)
            triggers.tagged.add(event.data)
        elif isinstance(event, PlanApplied):
            triggers.plans[event.plan] = Cause("plan", event.by)
        elif isinstance(event, PlanChanged | RunRemoved):
            triggers.may_free = True
    return triggers


def _assignments(
    connection: Connection,
    plans: Sequence[PlanToMatch],
    fresh: Mapping[int, set[int]],
    tagged: set[int],
    triggers: _Triggers,
) -> Iterator[tuple[PlanToMatch, list[Assignment]]]:
    """Each plan with its new assignments, and one more than there is room for if there are more."""
    plain: list[PlanToMatch] = []
    for plan in plans:
        if plan.id in triggers.plans:
            if _is_due(plan, triggers):
                yield plan, list(_of_plan(connection, plan, ()))
        elif plan.backlog and plan.room <= 0:
            continue
        elif plan.is_plain:
            plain.append(plan)
        else:
            yield plan, list(_of_plan(connection, plan, tagged | fresh.get(plan.number, set())))
    if not plain:
        return
    taking = {plan.number: fresh.get(plan.number, set()) for plan in plain}
    found: dict[str, list[Assignment]] = {}
    # Nothing can have taken what only just became done; what was tagged may have been taken before.
    for assignment in (*single_inputs(connection, plain, taking), *assignments_of_plain(connection, plain, tagged)):
        found.setdefault(assignment.plan, []).append(assignment)
    yield from ((plan, found.get(plan.id, [])) for plan in plain)


def _of_plan(connection: Connection, plan: PlanToMatch, data: Collection[int]) -> Iterable[Assignment]:
    most = max(0, plan.room) + 1
    if plan.is_plain:
        return assignments_of_plain(connection, [plan], data, most=most)
    return assignments_of_plan(connection, plan, data, most=most)


def _is_due(plan: PlanToMatch, triggers: _Triggers) -> bool:
    """Not each run that ends is worth a look through all matches of its plan."""
    if triggers.plans[plan.id].kind != "backlog":
        return True
    return plan.room > 0 and plan.room * REFILL_SHARE >= plan.settings.limits.pending


def _created(plan: PlanToMatch, assignment: Assignment, cause: Cause, now: datetime, ids: IdMaker) -> RunCreated:
    inputs = [RunInput(name, data) for name, those in assignment.inputs for data in those]
    if plan.definition.code and plan.definition.code.data:
        inputs.append(RunInput(CODE_INPUT, plan.definition.code.data))
    run = ids.new()
    return RunCreated(
        at=now,
        by=cause.by,
        run=run,
        plan=plan.id,
        status="waiting" if plan.settings.active else "deactivated",
        inputs=tuple(inputs),
        outputs=new_outputs(plan.definition, ids),
        cause=cause,
        project=plan.project,
    )
