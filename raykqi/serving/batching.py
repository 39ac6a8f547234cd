"""Which of the waiting requests go through the model together: those that fit each other, as many as the budget allows.

Nothing waits for more to come: while the model runs they gather by themselves. What a batch takes is learned from
those that ran.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Protocol, TypeVar

from raykqi.domain.endpoint import Batching

__all__ = ["Batcher", "Joinable"]

KEPT = 0.8  # of an earlier estimate, when a batch of that size took another time
FORGIVING = 0.99  # an estimate that keeps a batch small wears off, as it may come from one stall


class Joinable(Protocol):
    """`joins` is equal for requests that fit each other, None for one that runs alone; `rows` is how much it brings."""

    @property
    def joins(self) -> Hashable | None: ...

    @property
    def rows(self) -> int: ...


T = TypeVar("T", bound=Joinable)


class Batcher:
    def __init__(self, batching: Batching) -> None:
        self._most = batching.most
        self._budget = batching.latency_ms / 1000
        self._took: dict[int, tuple[float, float]] = {}  # by powers of two of rows: rows and seconds, smoothed

    def choose(self, waiting: Iterable[T]) -> list[T]:
        """The first, and those behind it that may go with it, in their order."""
        chosen: list[T] = []
        rows = 0
        for each in waiting:
            if not chosen:
                chosen.append(each)
                rows = each.rows
                if each.joins is None:
                    break
            elif len(chosen) >= self._most:
                break
            elif each.joins == chosen[0].joins:
                if not self._fits(rows + each.rows):
                    break
                chosen.append(each)
                rows += each.rows
        return chosen

    def learn(self, rows: int, seconds: float) -> None:
        key = rows.bit_length()
        known = self._took.get(key)
        if known:
            rows_before, seconds_before = known
            self._took[key] = (
                KEPT * rows_before + (1 - KEPT) * rows,
                KEPT * seconds_before + (1 - KEPT) * seconds,
            )
        else:
            self._took[key] = (rows, seconds)

    def expected(self, rows: int) -> float:
        """Seconds for so many rows, of the nearest size that ran; 0 when none did. More rows never take less."""
        key = rows.bit_length()
        if known := self._took.get(key):
            return known[1] * max(1.0, rows / known[0])
        smaller = [size for size in self._took if size < key]
        if not smaller:
            return min((seconds for _, seconds in self._took.values()), default=0.0)
        rows_then, seconds = self._took[max(smaller)]
        return seconds * rows / rows_then

    def _fits(self, rows: int) -> bool:
        if self.expected(rows) <= self._budget:
            return True
        key = rows.bit_length()
        if known := self._took.get(key):
            self._took[key] = (known[0], known[1] * FORGIVING)
        return False
