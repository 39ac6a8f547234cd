"""The replicas of endpoints as they have reported, and what each of their revisions has done."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from raykqi.domain.endpoint import Endpoint, RevisionStatus
from raykqi.domain.rollout import Counts, Report
from raykqi.engine.rollout import Doing

__all__ = ["Followers"]

AWAY = 15.0  # seconds without a word until a replica counts as gone
REMEMBERED = 1_000  # names of replicas that have left
GONE = ""  # under which all that have left are counted together
Key = tuple[str, int]  # endpoint and revision


@dataclass
class _Seen:
    report: Report
    at: float
    is_asking: bool = True


class Followers:
    """Not safe by itself: whoever uses it holds its lock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, dict[str, _Seen]] = {}
        self._counts: dict[Key, dict[str, Counts]] = {}
        self._begun: dict[Key, tuple[RevisionStatus, dict[str, Counts]]] = {}
        self._left: deque[str] = deque(maxlen=REMEMBERED)
        self.lock = threading.Condition()

    def take(self, report: Report) -> bool:
        """Whether it says anything new but how much was done."""
        if report.replica in self._left:
            return False  # a word that was overtaken by the last one
        replicas = self._seen.setdefault(report.endpoint, {})
        before = replicas.get(report.replica)
        for each in report.revisions:
            self._counts.setdefault((report.endpoint, each.number), {})[report.replica] = each.counts
        if report.is_leaving:
            self._left.append(report.replica)
            self._add_up(report.endpoint, report.replica)
            return replicas.pop(report.replica, None) is not None
        replicas[report.replica] = _Seen(report, self._clock())
        return before is None or before.report.jobs != report.jobs or _states(before.report) != _states(report)

    def answered(self, report: Report) -> None:
        """From now on it is waited for its next word."""
        if seen := self._seen.get(report.endpoint, {}).get(report.replica):
            seen.at, seen.is_asking = self._clock(), False

    def of(self, endpoint: str) -> list[Report]:
        """The last words of those that are there."""
        return [seen.report for seen in self._seen.get(endpoint, {}).values() if self._left_for(seen) > 0]

    def drop_gone(self) -> bool:
        """Whether there were any who have gone without a word since this was asked last."""
        gone = [
            (endpoint, replica)
            for endpoint, replicas in self._seen.items()
            for replica, seen in replicas.items()
            if self._left_for(seen) <= 0
        ]
        for endpoint, replica in gone:
            del self._seen[endpoint][replica]
        return bool(gone)

    def pause(self) -> float | None:
        """Seconds for which all that are there stay."""
        return min(
            (self._left_for(seen) for replicas in self._seen.values() for seen in replicas.values()), default=None
        )

    def _left_for(self, seen: _Seen) -> float:
        """Seconds until it counts as gone, unless it says something."""
        return AWAY if seen.is_asking else seen.at + AWAY - self._clock()

    def doing(self, endpoint: Endpoint) -> Mapping[int, Doing]:
        reports = self.of(endpoint.id)
        found: dict[int, Doing] = {}
        for revision in endpoint.revisions:
            said = [each for report in reports for each in report.revisions if each.number == revision.number]
            found[revision.number] = Doing(
                ready=sum(each.state == "ready" for each in said),
                failed=tuple(each.reason for each in said if each.state == "failed"),
                counts=self._since_begun((endpoint.id, revision.number), revision.status),
            )
        return found

    def totals(self) -> dict[Key, Counts]:
        """All that revisions have done, also in replicas that have gone."""
        return {key: _sum(counts.values()) for key, counts in self._counts.items()}

    def forget(self, endpoints: Iterable[str]) -> None:
        """All but these."""
        kept = set(endpoints)
        self._seen = {id_: seen for id_, seen in self._seen.items() if id_ in kept}
        self._counts = {key: counts for key, counts in self._counts.items() if key[0] in kept}
        self._begun = {key: begun for key, begun in self._begun.items() if key[0] in kept}

    def _add_up(self, endpoint: str, replica: str) -> None:
        """Replicas come and go for months: what those did that have left is kept as one sum."""
        for key, counts in self._counts.items():
            if key[0] == endpoint:
                _move(counts, replica)
                if begun := self._begun.get(key):
                    _move(begun[1], replica)

    def _since_begun(self, key: Key, status: RevisionStatus) -> Counts:
        now = self._counts.get(key, {})
        known = self._begun.get(key)
        if known is None or known[0] != status:
            known = self._begun[key] = (status, dict(now))
        return _sum(_less(counts, known[1].get(replica, Counts())) for replica, counts in now.items())


def _states(report: Report) -> list[tuple[int, str, str]]:
    return [(each.number, each.state, each.reason) for each in report.revisions]


def _move(counts: dict[str, Counts], replica: str) -> None:
    if replica in counts:
        counts[GONE] = _together(counts.get(GONE, Counts()), counts.pop(replica), 1)


def _sum(counts: Iterable[Counts]) -> Counts:
    total = Counts()
    for each in counts:
        total = _together(total, each, 1)
    return total


def _less(counts: Counts, before: Counts) -> Counts:
    """A replica that began anew counts from nothing."""
    return counts if counts.answers < before.answers else _together(counts, before, -1)


def _together(left: Counts, right: Counts, sign: int) -> Counts:
    length = max(len(left.latencies), len(right.latencies))
    ours, theirs = (each.latencies + (0,) * (length - len(each.latencies)) for each in (left, right))
    return Counts(
        answers=left.answers + sign * right.answers,
        errors=left.errors + sign * right.errors,
        refused=left.refused + sign * right.refused,
        seconds=left.seconds + sign * right.seconds,
        latencies=tuple(one + sign * other for one, other in zip(ours, theirs, strict=True)),
        batches=left.batches + sign * right.batches,
    )
