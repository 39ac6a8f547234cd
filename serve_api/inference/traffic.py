"""Which of several gets the next request: by shares, evenly spread, so that 0.1 is every tenth."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

__all__ = ["Traffic"]

One = TypeVar("One")
PARTS = 1_000_000  # shares are counted in


class _Lane(Generic[One]):
    __slots__ = ("credit", "one", "weight")

    def __init__(self, one: One, weight: int) -> None:
        self.one, self.weight = one, weight
        self.credit = 0


class Traffic(Generic[One]):
    """Each time all gain their share, and whoever has most gives up what all gained together."""

    def __init__(self) -> None:
        self._lanes: list[_Lane[One]] = []
        self._total = 0

    def spread(self, shares: Iterable[tuple[One, float]]) -> None:
        lanes = [_Lane(one, round(share * PARTS)) for one, share in shares]
        lanes = [lane for lane in lanes if lane.weight > 0]
        before = [(lane.one, lane.weight) for lane in self._lanes]
        if [(lane.one, lane.weight) for lane in lanes] != before:
            self._lanes, self._total = lanes, sum(lane.weight for lane in lanes)

    def next(self) -> One | None:
        lanes = self._lanes
        if len(lanes) == 1:
            return lanes[0].one
        if not lanes:
            return None
        best = lanes[0]
        for lane in lanes:
            lane.credit += lane.weight
            if lane.credit > best.credit:
                best = lane
        best.credit -= self._total
        return best.one
