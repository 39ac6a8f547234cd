"""What becomes of the revisions of an endpoint when a model is taken up, goes live or is gone back to. Pure."""

from __future__ import annotations

from datetime import datetime

from raykqi.catalog.endpoint_facts import EndpointFacts, RevisionFacts
from raykqi.domain.endpoint import RevisionStatus
from raykqi.domain.endpoint_events import RevisionMade, RevisionMoved
from raykqi.domain.run import Cause

__all__ = ["RevisionEvent", "bring_back", "go_live", "move", "supersede", "take_up"]

RevisionEvent = RevisionMade | RevisionMoved


def take_up(endpoint: EndpointFacts, data: str, by: str, cause: Cause, now: datetime) -> list[RevisionEvent]:
    """Serve this model from now on, loaded as the endpoint says: as a new revision, or as the one that it was."""
    known = endpoint.of(data, endpoint.spec.loading)
    if known and known is endpoint.coming:
        return []
    if known and known is endpoint.live:
        return supersede(endpoint, known.number, by, now)
    if known and known.lived:
        return bring_back(endpoint, known, by, "its model is the one to serve again", now)
    number = known.number if known else max(endpoint.revisions, default=0) + 1
    events = supersede(endpoint, number, by, now)
    status, reason = _beginning(endpoint)
    if known:
        return [*events, move(endpoint, known, status, by, reason, now)]
    loading = endpoint.spec.loading
    endpoint.revisions[number] = RevisionFacts(number, data, loading, status, reason)
    return [*events, RevisionMade(now, by, endpoint.id, number, data, loading, status, cause, reason)]


def bring_back(
    endpoint: EndpointFacts, revision: RevisionFacts, by: str, reason: str, now: datetime
) -> list[RevisionEvent]:
    """Load one again that is none of the current ones; what was on its way gives way to it."""
    return [
        *supersede(endpoint, revision.number, by, now),
        move(endpoint, revision, "loading", by, reason, now),
    ]


def supersede(endpoint: EndpointFacts, number: int, by: str, now: datetime) -> list[RevisionEvent]:
    """The one that is on its way, unless it is this one, gives way to revision `number`."""
    coming = endpoint.coming
    if coming is None or coming.number == number:
        return []
    return [move(endpoint, coming, "withdrawn", by, f"superseded by revision {number}", now)]


def go_live(
    endpoint: EndpointFacts, revision: RevisionFacts, by: str, reason: str, now: datetime
) -> list[RevisionEvent]:
    """It answers, and the one that did is retired in the same step."""
    events: list[RevisionEvent] = []
    former = endpoint.live
    if former and former is not revision:
        events.append(move(endpoint, former, "retired", by, f"revision {revision.number} is live", now))
    events.append(move(endpoint, revision, "live", by, reason, now))
    revision.lived = 1 + max(each.lived for each in endpoint.revisions.values())
    return events


def move(
    endpoint: EndpointFacts, revision: RevisionFacts, status: RevisionStatus, by: str, reason: str, now: datetime
) -> RevisionMoved:
    revision.status, revision.reason = status, reason
    return RevisionMoved(now, by, endpoint.id, revision.number, status, reason)


def _beginning(endpoint: EndpointFacts) -> tuple[RevisionStatus, str]:
    """What a revision is first: a metric is compared with that of the live one, and people are asked always."""
    gate = endpoint.spec.gate
    if gate.metric and endpoint.live:
        return "waiting", f"waits until {gate.metric} of its model is measured"
    if gate.approvers:
        return "waiting", f"waits for the word of {' or '.join(gate.approvers)}"
    return "loading", ""
