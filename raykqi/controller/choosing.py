"""Which of the waiting runs are next: by priority, then by age, as far as there is room."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from raykqi.catalog.queue import QueuedPlan
from raykqi.domain.order import Attempt
from raykqi.domain.resources import Resources
from raykqi.engine.admission import STARVED, Ledger, share

__all__ = ["AT_ONCE", "Candidate", "Choosing", "Chosen"]

# Function runs that are over in a moment are sent ahead, so that a node need not wait for each next one.
AHEAD_SECONDS, AHEAD_MOST = 0.5, 64
SMOOTHING = 0.3
AT_ONCE = 512  # runs that are started by one command

# Priority, turned round, and number of the run; its id, or "" when there is no room for it; its plan.
Candidate = tuple[int, int, str, QueuedPlan]
Chosen = tuple[str, QueuedPlan, str]  # the run's id and plan, and the node that is counted for it


class Choosing:
    def __init__(self, ledger: Ledger, *, seconds: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._now = seconds
        self._blocked_since: dict[int, float] = {}  # by number of the run
        self._seconds: dict[str, float] = {}  # that a run of the plan takes, as seen so far

    def measured(self, plan: str, seconds: float) -> None:
        before = self._seconds.get(plan, seconds)
        self._seconds[plan] = before + SMOOTHING * (seconds - before)

    def is_full(self, plan: QueuedPlan) -> bool:
        """Whether there is no room for a run of it now, on the nodes or in the quota of its project."""
        is_over = self._ledger.is_over(plan.project, plan.settings.resources)
        return is_over or self._ledger.place(self.counted(plan), plan.definition) is None

    def choose(self, candidates: Iterable[Candidate]) -> list[Chosen]:
        """Those that fit, each with the place that is counted for it.

        A run for which the quota of its project has no room is in the way of nobody in other projects.
        """
        chosen: list[Chosen] = []
        full: set[str] = set()
        blocked: set[int] = set()
        closed: set[str] = set()  # projects whose younger runs wait for one that has waited too long
        for _, number, run, plan in sorted(candidates, key=lambda candidate: candidate[:2]):
            if plan.id in full or plan.project in closed:
                continue
            if self._ledger.is_over(plan.project, plan.settings.resources):
                full.add(plan.id)
                if not self._ledger.is_beyond(plan.project, plan.settings.resources):
                    blocked.add(number)
                    if self._has_starved(number):
                        closed.add(plan.project)
                continue
            counted = self.counted(plan)
            place = self._ledger.place(counted, plan.definition) if run else None
            if place is None:
                full.add(plan.id)
                blocked.add(number)
                if self._has_starved(number):
                    break
                continue
            self._ledger.take(Attempt(run, 0), place, counted, project=plan.project, whole=plan.settings.resources)
            chosen.append((run, plan, place))
            if len(chosen) >= AT_ONCE:
                break
        self._blocked_since = {number: since for number, since in self._blocked_since.items() if number in blocked}
        return chosen

    def _has_starved(self, number: int) -> bool:
        since = self._blocked_since.setdefault(number, self._now())
        return self._now() - since > STARVED

    def counted(self, plan: QueuedPlan) -> Resources:
        """Quick functions are counted for less, so that more of them are on their way."""
        seconds = self._seconds.get(plan.id)
        if not plan.definition.function or seconds is None:
            return plan.settings.resources
        ahead = int(AHEAD_SECONDS / max(seconds, AHEAD_SECONDS / AHEAD_MOST))
        return share(plan.settings.resources, max(1, ahead))
