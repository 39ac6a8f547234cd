"""Counts what a revision did in this replica since that began."""

from __future__ import annotations

from bisect import bisect_left

from raykqi.domain.rollout import LATENCIES_MS, Counts

__all__ = ["Counter"]


class Counter:
    __slots__ = ("answers", "batches", "errors", "latencies", "refused", "seconds")

    def __init__(self) -> None:
        self.answers = self.errors = self.refused = self.batches = 0
        self.seconds = 0.0
        self.latencies = [0] * (len(LATENCIES_MS) + 1)

    def add(self, status: int, seconds: float) -> None:
        self.answers += 1
        self.seconds += seconds
        if status >= 500:
            self.errors += 1
        elif status >= 400:
            self.refused += 1
        self.latencies[bisect_left(LATENCIES_MS, seconds * 1e3)] += 1

    def counts(self, batches: int) -> Counts:
        """`batches` are those of the process that runs now; earlier ones were kept."""
        return Counts(
            answers=self.answers,
            errors=self.errors,
            refused=self.refused,
            seconds=self.seconds,
            latencies=tuple(self.latencies),
            batches=self.batches + batches,
        )
