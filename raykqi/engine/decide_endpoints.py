"""Decisions about endpoints, their revisions and jobs.

Which data is the newest with an endpoint's tags is not asked here: that follows from what was decided, in the
same transaction.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

import msgspec

from raykqi.catalog.endpoint_facts import EndpointFacts, RevisionFacts
from raykqi.catalog.facts import Facts
from raykqi.domain.endpoint import CURRENT, EndpointSpec, check_endpoint_name, check_spec
from raykqi.domain.endpoint_events import (
    EndpointChanged,
    EndpointDeployed,
    EndpointHeld,
    EndpointRemoved,
    JobEnded,
    JobTaken,
)
from raykqi.domain.events import Event, RunInput, RunRecorded
from raykqi.domain.ids import IdMaker
from raykqi.domain.run import Cause
from raykqi.domain.tags import Tag
from raykqi.engine.commands import NewOutput, RecordRun
from raykqi.engine.decide import decide, require_project
from raykqi.engine.endpoint_commands import (
    ChangeEndpoint,
    DeployEndpoint,
    EndJob,
    HoldEndpoint,
    MoveRevision,
    Promote,
    RemoveEndpoint,
    RollBack,
    TakeJob,
)
from raykqi.engine.revisions import bring_back, go_live, move, supersede, take_up
from raykqi.errors import Conflict, DataGone, Forbidden, InvalidInput, QuotaExceeded, UnknownId

__all__ = ["recorded_with_job"]

UPLOADED, SERVED = "raykqi#uploaded", "raykqi#served"
Named = TypeVar("Named", ChangeEndpoint, RemoveEndpoint, Promote, RollBack, TakeJob)


@decide.register
def _(command: DeployEndpoint, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    spec, by = check_spec(command.spec), command.by
    name = check_endpoint_name(command.name)
    require_project(command.project, facts)
    _refuse_own_samples(name, spec)
    known = facts.endpoints.get(facts.endpoint_names.get(name, ""))
    if known and known.project != command.project:
        raise Conflict(f"the name {name} is taken by an endpoint of another project", hint="Choose another name.")
    if spec.binding.data:
        _require_model(spec.binding.data, command.project, facts)
    before = known.spec if known else None
    endpoint = known or EndpointFacts(ids.new(), name, command.project, spec)
    events: list[Event] = []
    if spec != before:
        events.append(EndpointDeployed(now, by, endpoint.id, name, spec, command.project))
    endpoint.spec = spec
    facts.endpoints[endpoint.id], facts.endpoint_names[name] = endpoint, endpoint.id
    is_bound_anew = before is None or before.binding != spec.binding
    if endpoint.is_pinned and is_bound_anew:
        endpoint.is_pinned = False
        events.append(EndpointChanged(now, by, endpoint.id, pinned=False, reason="bound to something else"))
    is_loaded_anew = before is not None and before.loading != spec.loading
    if data := _told_model(endpoint, bound_anew=is_bound_anew, loaded_anew=is_loaded_anew):
        events += take_up(endpoint, data, by, Cause("user", by, data), now)
    return events


@decide.register
def _(command: ChangeEndpoint, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    endpoint = _named(command, facts)
    paused = None if command.paused == endpoint.is_paused else command.paused
    pinned = None if command.pinned == endpoint.is_pinned else command.pinned
    if paused is None and pinned is None:
        return []
    bound = endpoint.spec.binding.data if pinned is False else ""
    if bound:
        _require_model(bound, endpoint.project, facts)
    events: list[Event] = [EndpointChanged(now, command.by, endpoint.id, paused, pinned, None, command.reason)]
    endpoint.is_paused = endpoint.is_paused if paused is None else paused
    endpoint.is_pinned = endpoint.is_pinned if pinned is None else pinned
    if bound:
        events += take_up(endpoint, bound, command.by, Cause("user", command.by, bound), now)
    return events


@decide.register
def _(command: HoldEndpoint, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    endpoint = facts.endpoints.get(command.endpoint)
    if endpoint is None or endpoint.is_removed or endpoint.held == command.reason:
        return []
    endpoint.held = command.reason
    return [EndpointHeld(now, endpoint.id, command.reason)]


@decide.register
def _(command: RemoveEndpoint, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    endpoint, reason = _named(command, facts), "the endpoint was removed"
    events: list[Event] = [
        move(endpoint, each, "retired", command.by, reason, now)
        for each in endpoint.revisions.values()
        if each.status in CURRENT
    ]
    for job in facts.jobs.values():
        if job.endpoint == endpoint.id and job.status == "waiting":
            job.status = "failed"
            events.append(JobEnded(now, job.id, endpoint.id, reason=reason))
    endpoint.is_removed = True
    facts.endpoint_names.pop(endpoint.name, None)
    return [*events, EndpointRemoved(now, command.by, endpoint.id, command.reason)]


@decide.register
def _(command: Promote, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    endpoint = _named(command, facts)
    revision = _revision(endpoint, command.revision)
    if revision.status in ("loading", "live"):
        return []
    approvers = endpoint.spec.gate.approvers
    if approvers and not revision.lived and command.by not in approvers and not command.is_manager:
        raise Forbidden(
            f"revision {revision.number} of the endpoint {endpoint.name} waits for {' or '.join(approvers)}",
            hint="Ask one of them, or a manager of the project.",
        )
    if revision.status == "waiting":
        return [move(endpoint, revision, "loading", command.by, f"approved by {command.by}", now)]
    if revision.status == "canary":
        return list(go_live(endpoint, revision, command.by, f"promoted by {command.by}", now))
    _require_bytes(revision)
    return list(bring_back(endpoint, revision, command.by, f"promoted by {command.by}", now))


@decide.register
def _(command: RollBack, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    endpoint, by = _named(command, facts), command.by
    reason = f"rolled back by {by}" + (f": {command.reason}" if command.reason else "")
    target = _served(endpoint, command.data) if command.data else _one_before(endpoint)
    if target.status not in CURRENT:
        _require_bytes(target)
    approvers = endpoint.spec.gate.approvers
    if approvers and not target.lived and target.status not in ("loading", "canary") and by not in approvers:
        raise Forbidden(
            f"revision {target.number} of the endpoint {endpoint.name} never was live and waits for "
            f"{' or '.join(approvers)}",
            hint=f"`raykqi serve promote {endpoint.name} {target.number}` is for them, or for a manager.",
        )
    events: list[Event] = []
    if not endpoint.is_pinned:
        endpoint.is_pinned = True
        events.append(EndpointChanged(now, by, endpoint.id, pinned=True, reason=reason))
    if target.status in ("loading", "canary"):
        return events
    if target.status == "live":
        coming = endpoint.coming
        return [*events, *([move(endpoint, coming, "withdrawn", by, reason, now)] if coming else [])]
    return [*events, *bring_back(endpoint, target, by, reason, now)]


@decide.register
def _(command: MoveRevision, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    endpoint = facts.endpoints.get(command.endpoint)
    revision = endpoint.revisions.get(command.revision) if endpoint and not endpoint.is_removed else None
    if endpoint is None or revision is None or revision.status != command.before:
        return []
    if command.status == "live":
        return list(go_live(endpoint, revision, command.by, command.reason, now))
    if command.status in CURRENT and command.before not in CURRENT:
        others = supersede(endpoint, revision.number, command.by, now)
        return [*others, move(endpoint, revision, command.status, command.by, command.reason, now)]
    return [move(endpoint, revision, command.status, command.by, command.reason, now)]


@decide.register
def _(command: TakeJob, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    endpoint = _named(command, facts)
    recorded = recorded_with_job(command, facts)
    assert recorded is not None
    job = ids.new()
    events = decide(recorded, facts, now, ids)
    request = _output(events)
    return [
        *events,
        JobTaken(now, command.by, job, endpoint.id, request, command.kind, command.content_type),
    ]


@decide.register
def _(command: EndJob, facts: Facts, now: datetime, ids: IdMaker) -> list[Event]:
    job = facts.jobs.get(command.job)
    if job is None or job.endpoint != command.endpoint or job.status != "waiting":
        return []
    recorded = recorded_with_job(command, facts)
    events: list[Event] = []
    reason = "" if recorded else command.reason or "it came to nothing"
    try:
        events = decide(recorded, facts, now, ids) if recorded else []
    except QuotaExceeded as error:
        reason = error.message  # no later attempt would find more room by itself
    job.status = "failed" if reason else "done"
    result = "" if reason else _output(events)
    return [*events, JobEnded(now, job.id, command.endpoint, command.revision, result, reason)]


def recorded_with_job(command: object, facts: Facts) -> RecordRun | None:
    """What is written down as data with the job or its end, if anything is."""
    if not isinstance(command, TakeJob | EndJob):
        return None
    endpoint = facts.endpoints.get(command.endpoint)
    tree = command.request if isinstance(command, TakeJob) else command.result
    if endpoint is None or tree is None:
        return None
    recorded = RecordRun(
        by=command.by,
        plan=UPLOADED,
        outputs=(NewOutput("request", tree, command.tags),),
        reused=command.reused,
        generation=command.generation,
        project=endpoint.project,
    )
    if isinstance(command, TakeJob):
        return recorded
    job, revision = facts.jobs.get(command.job), endpoint.revisions.get(command.revision)
    if job is None:
        return None
    named = (("request", job.request), ("model", revision.data if revision else ""))
    # What was removed meanwhile is no reason to lose the answer.
    inputs = tuple(RunInput(name, data) for name, data in named if _is_nameable(data, facts))
    return msgspec.structs.replace(
        recorded, plan=SERVED, outputs=(NewOutput("result", tree, command.tags),), inputs=inputs
    )


def _told_model(endpoint: EndpointFacts, *, bound_anew: bool, loaded_anew: bool) -> str:
    """The model that is to be taken up at once, or nothing: the newest with some tags is found later."""
    bound = endpoint.spec.binding.data
    if endpoint.is_pinned:
        current = endpoint.coming or endpoint.live
        return current.data if current and loaded_anew and current.is_there else ""
    if bound and (bound_anew or loaded_anew):
        return bound
    if bound_anew:
        return ""
    last = endpoint.of(bound or endpoint.followed, endpoint.spec.loading)
    return last.data if last and last.status == "failed" and last.is_there else ""


def _refuse_own_samples(name: str, spec: EndpointSpec) -> None:
    """An endpoint that follows its own samples would serve each of them."""
    marks = {Tag("type", "sample"), Tag("endpoint", name), *spec.sampling.tags}
    if spec.sampling.share and spec.binding.tags and marks.issuperset(spec.binding.tags):
        raise InvalidInput(
            f"the endpoint {name} would follow its own samples, which get all of its tags",
            hint="Give tags that only models have, such as type:model.",
        )


def _named(command: Named, facts: Facts) -> EndpointFacts:
    endpoint = facts.endpoints.get(command.endpoint)
    if endpoint is None or endpoint.is_removed or command.project not in ("", endpoint.project):
        raise UnknownId(f"there is no endpoint {command.endpoint}", hint="`raykqi serve list` lists what there is.")
    return endpoint


def _require_model(id_: str, project: str, facts: Facts) -> None:
    data = facts.data.get(id_)
    if data is None or data.status == "removed" or data.project != project:
        raise UnknownId(f"there is no data {id_}", hint="`raykqi data find` lists what there is.")
    if data.status == "purged":
        raise DataGone(f"data {id_} was purged, so no model can be loaded from it", hint="Name other data.")
    if data.status != "done":
        raise Conflict(f"data {id_} is {data.status}, so no model can be loaded from it", hint="Name other data.")


def _require_bytes(revision: RevisionFacts) -> None:
    if not revision.is_there:
        raise DataGone(
            f"revision {revision.number} cannot come back: its model, data {revision.data}, was given up",
            hint="Deploy other data.",
        )


def _revision(endpoint: EndpointFacts, number: int) -> RevisionFacts:
    if not endpoint.revisions:
        raise Conflict(f"the endpoint {endpoint.name} has no revision yet", hint="Tag a model, or deploy one by id.")
    if not number:
        return endpoint.coming or endpoint.revisions[max(endpoint.revisions)]
    if number not in endpoint.revisions:
        raise UnknownId(
            f"the endpoint {endpoint.name} has no revision {number}; it has {_listed(endpoint.revisions)}",
            hint=f"`raykqi serve show {endpoint.name}` shows them.",
        )
    return endpoint.revisions[number]


def _served(endpoint: EndpointFacts, data: str) -> RevisionFacts:
    """Its last one with this model, of those that were live if any was."""
    found = [each for each in endpoint.revisions.values() if each.data == data]
    if not found:
        served = dict.fromkeys(each.data for each in endpoint.revisions.values() if each.lived)
        raise UnknownId(
            f"the endpoint {endpoint.name} never served data {data}; it served {', '.join(served) or 'nothing'}",
            hint=f"`raykqi serve show {endpoint.name}` shows what it served when.",
        )
    return max(found, key=lambda each: (each.lived, each.number))


def _one_before(endpoint: EndpointFacts) -> RevisionFacts:
    """What answered before: beside a canary the live one, else the one that was live before that."""
    live, coming = endpoint.live, endpoint.coming
    if live and coming and coming.status == "canary":
        return live
    past = [each for each in endpoint.revisions.values() if each.lived and each is not live and each.is_there]
    if not past:
        raise Conflict(
            f"the endpoint {endpoint.name} served nothing before that could come back",
            hint=f"`raykqi serve show {endpoint.name}` shows its revisions.",
        )
    return max(past, key=lambda each: each.lived)


def _listed(numbers: dict[int, RevisionFacts]) -> str:
    return ", ".join(str(number) for number in numbers)


def _is_nameable(data: str, facts: Facts) -> bool:
    return bool(data) and data in facts.data and facts.data[data].status in ("done", "purged")


def _output(events: list[Event]) -> str:
    return next(output.data for event in events if isinstance(event, RunRecorded) for output in event.outputs)
