"""How events about endpoints, their revisions and jobs change the index."""

from __future__ import annotations

import msgspec

from raykqi.catalog.deeds import note_deed, note_endpoint_deed
from raykqi.catalog.folding import Fold, fold
from raykqi.domain.endpoint_events import (
    EndpointChanged,
    EndpointDeployed,
    EndpointHeld,
    EndpointRemoved,
    JobEnded,
    JobTaken,
    RevisionMade,
    RevisionMoved,
)

__all__ = []

SYSTEM = "raykqi"  # what it does by itself is no deed of anybody


@fold.register
def _(event: EndpointDeployed, state: Fold) -> None:
    into, spec = state.round.endpoints, msgspec.json.encode(event.spec).decode()
    state.endpoints += 1
    state.memory.followers = None
    into.deploy(event.endpoint, event.name, event.project, spec, event.at, event.by)
    into.endpoint_changes.note(event.endpoint, spec=spec, updated=event.at)
    state.last_id = max(state.last_id, event.endpoint)
    note_deed(event, state, event.project, event.name)


@fold.register
def _(event: EndpointChanged, state: Fold) -> None:
    changed: dict[str, object] = {"updated": event.at}
    done: list[str] = []
    if event.paused is not None:
        changed |= {"is_paused": event.paused, "reason": event.reason if event.paused else ""}
        done.append("paused" if event.paused else "resumed")
    if event.pinned is not None:
        changed["is_pinned"] = event.pinned
        state.memory.followers = None
        done.append("pinned" if event.pinned else "follows")
    if event.followed is not None:
        changed["followed"] = event.followed
    state.round.endpoints.endpoint_changes.note(event.endpoint, **changed)
    if done:
        said = ", ".join(done)
        note_endpoint_deed(event, state, event.endpoint, f"{said}: {event.reason}" if event.reason else said)


@fold.register
def _(event: EndpointHeld, state: Fold) -> None:
    state.round.endpoints.endpoint_changes.note(event.endpoint, held=event.reason)


@fold.register
def _(event: EndpointRemoved, state: Fold) -> None:
    state.memory.followers = None
    state.round.endpoints.endpoint_changes.note(event.endpoint, removed=event.at, updated=event.at)
    state.round.access.add("endpoint removed", event.endpoint)
    note_endpoint_deed(event, state, event.endpoint, event.reason)


@fold.register
def _(event: RevisionMade, state: Fold) -> None:
    into = state.round.endpoints
    loading, cause = (msgspec.json.encode(value).decode() for value in (event.loading, event.cause))
    into.revisions.rows.append(
        (event.endpoint, event.revision, event.data, loading, event.status, event.at, event.by, cause, event.reason)
    )
    _move(event, state)
    note_endpoint_deed(event, state, event.endpoint, f"{event.revision}: data {event.data}")


@fold.register
def _(event: RevisionMoved, state: Fold) -> None:
    state.round.endpoints.revision_changes.note(
        f"{event.endpoint} {event.revision}", status=event.status, reason=event.reason
    )
    _move(event, state)
    if event.by != SYSTEM:
        said = f"{event.revision}: {event.status}"
        note_endpoint_deed(event, state, event.endpoint, f"{said}, {event.reason}" if event.reason else said)


@fold.register
def _(event: JobTaken, state: Fold) -> None:
    state.round.endpoints.jobs.rows.append(
        (event.job, event.endpoint, event.request, event.kind, event.content_type, event.at, event.by)
    )
    state.last_id = max(state.last_id, event.job)


@fold.register
def _(event: JobEnded, state: Fold) -> None:
    state.round.endpoints.job_changes.note(
        event.job,
        status="failed" if event.reason else "done",
        result=event.result,
        revision=event.revision,
        ended=event.at,
        reason=event.reason,
    )


def _move(event: RevisionMade | RevisionMoved, state: Fold) -> None:
    state.moves = number = state.moves + 1
    state.round.endpoints.moves.rows.append(
        (number, event.endpoint, event.revision, event.at, event.by, event.status, event.reason)
    )
