"""Decisions about plans: whether one may come, and what of it may change."""

from __future__ import annotations

from datetime import datetime

import msgspec

from raykqi.catalog.facts import Facts
from raykqi.catalog.run_facts import PlanFacts
from raykqi.domain.events import Event, PlanApplied, PlanChanged, PlanHeld, RunsMoved
from raykqi.domain.ids import IdMaker
from raykqi.domain.plan import Limits, PlanSettings
from raykqi.domain.resources import change_resources
from raykqi.engine.decide import decide, require_project
from raykqi.engine.run_commands import ApplyPlan, ChangePlan, HoldPlan
from raykqi.errors import PlanCycle, PlanExists, UnknownId

__all__ = []


@decide.register
def _(command: ApplyPlan, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    require_project(command.project, facts)
    definition = command.definition
    digest = definition.digest
    if existing := facts.alike.get(digest):
        raise PlanExists(
            f"there is an equivalent plan: {existing[0]}",
            hint=f"Resources, annotations, limits and activity can be changed: `raykqi plan show {existing[0]}`.",
        )
    for given in definition.inputs:
        if given.id or given.timestamp:
            continue
        if any(tags.issuperset(given.tags) for tags in facts.flows):
            tags = ", ".join(map(str, given.tags))
            raise PlanCycle(
                f"what this plan makes would come back to its input {given.name} ({tags}): it would never end",
                hint="Give the output a tag that tells it apart, and let the input ask for another.",
            )
    plan = ids.new()
    events: list[Event] = []
    if command.replaces and definition.name:
        for earlier in facts.alike.get(definition.name, ()):
            events += _switched(facts.plans[earlier], active=False, by=command.by, now=now)
    events.append(PlanApplied(now, command.by, plan, digest, definition, command.settings, command.project))
    return events


@decide.register
def _(command: ChangePlan, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    plan = _there(command.plan, facts, command.project)
    events: list[Event] = []
    if command.active is not None:
        events += _switched(plan, active=command.active, by=command.by, now=now)
    after = _changed(plan.settings, command)
    if after != plan.settings:
        plan.settings = after
        events.append(PlanChanged(now, command.by, plan.id, after))
    return events


@decide.register
def _(command: HoldPlan, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    plan = _there(command.plan, facts)
    if plan.held == command.reason:
        return []
    plan.held = command.reason
    return [PlanHeld(now, plan.id, command.reason)]


def _switched(plan: PlanFacts, *, active: bool, by: str, now: datetime) -> list[Event]:
    """On or off, and with it the runs that have not begun."""
    events: list[Event] = []
    if plan.settings.active != active:
        plan.settings = msgspec.structs.replace(plan.settings, active=active)
        events.append(PlanChanged(now, by, plan.id, plan.settings))
    moved = plan.deactivated if active else plan.waiting
    if moved:
        events.append(RunsMoved(now, by, "waiting" if active else "deactivated", tuple(moved)))
    return events


def _changed(before: PlanSettings, command: ChangePlan) -> PlanSettings:
    kept = [
        pair
        for pair in before.annotations
        if pair not in command.remove_annotations and pair[0] not in command.remove_annotation_keys
    ]
    annotations = tuple(dict.fromkeys((*kept, *command.add_annotations)))
    resources = before.resources
    if command.resources is not None:
        resources = change_resources(resources, command.resources)
    return msgspec.structs.replace(
        before,
        resources=resources,
        annotations=annotations,
        limits=Limits(
            before.limits.running if command.running is None else command.running,
            before.limits.pending if command.pending is None else command.pending,
        ),
        service_account=before.service_account if command.service_account is None else command.service_account,
    )


def _there(id_: str, facts: Facts, project: str = "") -> PlanFacts:
    plan = facts.plans.get(id_)
    if plan is None or project not in ("", plan.project):
        raise UnknownId(f"there is no plan {id_}", hint="`raykqi plan find` lists what there is.")
    return plan
