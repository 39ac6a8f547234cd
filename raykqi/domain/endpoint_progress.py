"""How far an endpoint has come with what was deployed last, for those who wait for it."""

from __future__ import annotations

from raykqi.domain.endpoint import Endpoint, Revision
from raykqi.errors import Conflict, ModelFailed

__all__ = ["how_far", "is_settled"]


def is_settled(endpoint: Endpoint) -> bool:
    """Whether it answers with what it shall; raises why it never will."""
    if endpoint.is_paused:
        raise Conflict(f"endpoint {endpoint.name} is paused", hint=f"`raykqi serve resume {endpoint.name}` lets it.")
    last = _moved_last(endpoint)
    if endpoint.coming or last is None:
        return False
    if last.status != "live":
        raise ModelFailed(
            f"revision {last.number} of endpoint {endpoint.name} is {last.status}: {last.reason or 'nobody said why'}",
            hint=f"`raykqi serve logs {endpoint.name}` shows what it wrote.",
        )
    return True


def how_far(endpoint: Endpoint) -> str:
    """As the rest of a sentence about one that is not settled."""
    coming = endpoint.coming
    said = f"revision {coming.number} is {coming.status}" if coming else "no data matches its tags"
    why = (coming.reason if coming else "") or endpoint.reason
    return f"is not live: {said}" + (f" ({why})" if why else "")


def _moved_last(endpoint: Endpoint) -> Revision | None:
    ended = [each for each in endpoint.revisions if each.status in ("live", "failed", "withdrawn") and each.history]
    return max(ended, key=lambda each: (each.history[-1].at, each.status == "live"), default=None)
