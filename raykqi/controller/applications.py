"""What brings the replicas of endpoints up, as the controller sees it; on a cluster Ray Serve does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from raykqi.domain.endpoint import Scale, ServingResources

__all__ = ["Applications", "Shape", "State"]


class Shape(msgspec.Struct, frozen=True):
    """All that has to be known outside of an endpoint's replicas: what each may take, and how many there are."""

    endpoint: str
    name: str
    project: str
    scale: Scale
    resources: ServingResources
    queue: int


class State(NamedTuple):
    """How many replicas answer; `reason` says what keeps it from being as it shall be."""

    replicas: int
    reason: str = ""


class Applications(Protocol):
    """Raises ServerUnavailable when nothing can be said or done now."""

    def show(self, shapes: Sequence[Shape]) -> None:
        """Let there be these and no others; quick, and the same again does nothing."""
        ...

    def states(self) -> Mapping[str, State]:
        """By the names of endpoints, of those that are there."""
        ...

    def close(self) -> None: ...
