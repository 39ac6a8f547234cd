"""How a new model comes to answer: what to do next with an endpoint, from what its replicas report.

Pure: it is given how the endpoint is and how its revisions do, and answers moves, each with its reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from raykqi.domain.endpoint import Endpoint, Gate, Guard, Revision, RevisionStatus
from raykqi.domain.rollout import LATENCIES_MS, Counts

__all__ = ["Doing", "Measured", "Next", "Step", "kept_ready", "next_steps", "percentile", "shares", "since"]
__all__ += ["worse_than_allowed"]

BY = "raykqi"
SOON = timedelta(seconds=1)  # how often a model that is watched is looked at


class Doing(msgspec.Struct, frozen=True):
    """How one revision does: replicas that have it ready, and those that failed with their reasons.

    `counts` are those since it became what it is.
    """

    ready: int = 0
    failed: tuple[str, ...] = ()
    counts: Counts = Counts()


class Measured(msgspec.Struct, frozen=True):
    """The metric of a gate: of the model that is coming and of the one that is live; None where nobody measured."""

    coming: float | None = None
    live: float | None = None


class Step(msgspec.Struct, frozen=True):
    revision: int
    before: RevisionStatus
    status: RevisionStatus
    reason: str = ""


@dataclass
class Next:
    """`look_again` is when to ask anew though nothing was reported."""

    steps: list[Step] = field(default_factory=list)
    look_again: datetime | None = None


def next_steps(
    endpoint: Endpoint, *, replicas: int, doing: Mapping[int, Doing], measured: Measured, now: datetime
) -> Next:
    """`replicas` is how many are there, of which some may not have come so far yet."""
    if endpoint.is_paused:
        return Next()
    coming, live = endpoint.coming, endpoint.live
    if coming is not None:
        return _of_coming(endpoint, coming, live, replicas, doing.get(coming.number, Doing()), measured, now)
    if live is not None:
        return _of_live(endpoint, live, doing.get(live.number, Doing()), now)
    # A step back of which only the first half was written.
    before = _served_before(endpoint, None)
    return Next([Step(before.number, "retired", "live", "the one after it was taken back")] if before else [])


def worse_than_allowed(guard: Guard, counts: Counts) -> str:
    """Why a revision that does so must go, or ""."""
    if counts.answers < guard.requests:
        return ""
    if guard.errors is not None and counts.errors > guard.errors * counts.answers:
        return f"{counts.errors} of {counts.answers} requests failed, more than {guard.errors:.3g} of them"
    if guard.latency_ms is not None and (slow := percentile(counts, 0.99)) > guard.latency_ms:
        return f"1 in 100 requests took {slow:g} ms or longer, more than {guard.latency_ms:g} ms"
    return ""


def percentile(counts: Counts, share: float) -> float:
    """The lower bound in milliseconds of the bucket that holds it: what it took at the least."""
    wanted, seen = share * sum(counts.latencies), 0
    for bucket, count in enumerate(counts.latencies):
        seen += count
        if count and seen >= wanted:
            return LATENCIES_MS[bucket - 1] if bucket else 0.0
    return 0.0


def _of_coming(
    endpoint: Endpoint,
    coming: Revision,
    live: Revision | None,
    replicas: int,
    doing: Doing,
    measured: Measured,
    now: datetime,
) -> Next:
    if coming.status == "waiting":
        return _of_waiting(endpoint, coming, live, measured)
    if doing.failed:
        return Next([Step(coming.number, coming.status, "failed", doing.failed[0])])
    if coming.status == "loading":
        if not replicas or doing.ready < replicas:
            return Next()
        if endpoint.spec.canary.share and live is not None:
            return Next(
                [Step(coming.number, "loading", "canary", f"gets {endpoint.spec.canary.share:.3g} of requests")]
            )
        return Next([Step(coming.number, "loading", "live")])
    if reason := worse_than_allowed(endpoint.spec.guard, doing.counts):
        return Next([Step(coming.number, "canary", "withdrawn", reason)])
    canary = endpoint.spec.canary
    over = since(coming) + timedelta(seconds=canary.seconds)
    if now >= over and doing.counts.answers >= canary.requests:
        return Next([Step(coming.number, "canary", "live", f"did well for {doing.counts.answers} requests")])
    return Next(look_again=now + SOON)


def _of_waiting(endpoint: Endpoint, coming: Revision, live: Revision | None, measured: Measured) -> Next:
    gate = endpoint.spec.gate
    if endpoint.is_pinned:
        return Next()
    if gate.metric and live is not None:
        if measured.coming is None:
            return _told(coming, f"waits until {gate.metric} of its model is measured")
        if measured.live is not None and (reason := _is_worse(gate, measured.coming, measured.live, live)):
            return Next([Step(coming.number, "waiting", "withdrawn", reason)])
    if gate.approvers:
        return _told(coming, f"waits for the word of {' or '.join(gate.approvers)}")
    reason = "" if measured.coming is None else f"{gate.metric} is {measured.coming:g}"
    return Next([Step(coming.number, "waiting", "loading", reason)])


def _is_worse(gate: Gate, coming: float, current: float, live: Revision) -> str:
    gained = coming - current if gate.goal == "higher" else current - coming
    if gained >= gate.least if gate.least else gained > 0:
        return ""
    wanted = f"{gate.least:g} " if gate.least else ""
    return f"{gate.metric} {coming:g} is not {wanted}better than {current:g} of revision {live.number}"


def _told(coming: Revision, reason: str) -> Next:
    return Next([Step(coming.number, "waiting", "waiting", reason)] if coming.reason != reason else [])


def _of_live(endpoint: Endpoint, live: Revision, doing: Doing, now: datetime) -> Next:
    guard = endpoint.spec.guard
    if guard.errors is None and guard.latency_ms is None:
        return Next()
    if now >= since(live) + timedelta(seconds=guard.seconds):
        return Next()
    before = _served_before(endpoint, live)
    if before is None:
        return Next()
    if reason := worse_than_allowed(guard, doing.counts):
        return Next(
            [
                Step(live.number, "live", "withdrawn", reason),
                Step(before.number, "retired", "live", f"revision {live.number} was taken back: {reason}"),
            ]
        )
    return Next(look_again=now + SOON)


def _served_before(endpoint: Endpoint, live: Revision | None) -> Revision | None:
    """The one that answered last before this one."""
    retired = [each for each in endpoint.revisions if each.status == "retired" and each is not live]
    return max(retired, key=since, default=None)


def kept_ready(endpoint: Endpoint, now: datetime) -> Revision | None:
    """The one before the live one, as long as it may have to come back at once."""
    live, guard = endpoint.live, endpoint.spec.guard
    if live is None or (guard.errors is None and guard.latency_ms is None):
        return None
    if now >= since(live) + timedelta(seconds=guard.seconds):
        return None
    return _served_before(endpoint, live)


def shares(endpoint: Endpoint) -> Mapping[int, float]:
    """Of the revisions that answer, which share of the requests each gets."""
    found: Sequence[Revision] = [each for each in endpoint.revisions if each.status in ("live", "canary")]
    canary = next((each for each in found if each.status == "canary"), None)
    if canary is None or len(found) == 1:
        return {each.number: 1.0 for each in found}
    share = endpoint.spec.canary.share
    return {each.number: share if each is canary else 1.0 - share for each in found}


def since(revision: Revision) -> datetime:
    """When it became what it is; other reasons for the same count from the first on."""
    began = revision.created
    status: RevisionStatus | None = None
    for move in revision.history:
        if move.status != status:
            status, began = move.status, move.at
    return began
