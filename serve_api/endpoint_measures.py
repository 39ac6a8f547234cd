"""What the revisions of endpoints have done, for Prometheus: over all replicas, as the controller counts it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from raykqi.domain.rollout import LATENCIES_MS
from raykqi.workspace.replica_verbs import EndpointCounts

__all__ = ["EndpointMeasures"]

LABELS = ["project", "endpoint", "revision"]
BOUNDS = [*(f"{bound / 1000:g}" for bound in LATENCIES_MS), "+Inf"]


class EndpointMeasures(Collector):
    """Of the endpoints of `projects` alone, or of all without. Counters begin anew with the controller."""

    def __init__(self, counts: Iterable[EndpointCounts], projects: Collection[str] | None) -> None:
        self._counts = [each for each in counts if projects is None or each.project in projects]

    def collect(self) -> Iterator[Metric]:
        answers = CounterMetricFamily("raykqi_endpoint_answers", "Requests answered", labels=[*LABELS, "outcome"])
        seconds = HistogramMetricFamily("raykqi_endpoint_seconds", "Seconds that answers took", labels=LABELS)
        batches = CounterMetricFamily("raykqi_endpoint_batches", "Times that the model ran", labels=LABELS)
        for each in self._counts:
            of = [each.project, each.name, str(each.revision)]
            counts = each.counts
            done = counts.answers - counts.errors - counts.refused
            for outcome, count in (("done", done), ("refused", counts.refused), ("failed", counts.errors)):
                answers.add_metric([*of, outcome], count)
            latencies = counts.latencies or (0,) * len(BOUNDS)
            up_to = zip(BOUNDS, map(float, accumulate(latencies)), strict=True)
            seconds.add_metric(of, list(up_to), counts.seconds)
            batches.add_metric(of, counts.batches)
        yield from (answers, seconds, batches)
