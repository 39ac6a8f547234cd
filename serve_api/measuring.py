"""What is counted, for Prometheus: requests of this process, and how the workspace does as this process knows it."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from raykqi.errors import ServerUnavailable
from raykqi.workspace import Workspace
from serve_api.bytes.traffic import Traffic
from serve_api.endpoint_measures import EndpointMeasures
from serve_api.routing import METHODS

__all__ = ["MEDIA_TYPE", "Measures"]

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
WAITING = ("waiting", "ready")


class Measures:
    def __init__(self, workspace: Workspace, traffic: Traffic) -> None:
        self._workspace = workspace
        self._traffic = traffic
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "raykqi_http_requests", "Requests answered", ["method", "route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "raykqi_http_request_seconds",
            "Seconds until the answer was sent",
            ["route"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._under_way = Gauge("raykqi_http_requests_under_way", "Requests being answered", registry=self._registry)
        self._streams = Gauge("raykqi_streams_open", "Streams of events that are open", registry=self._registry)
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def begun(self) -> None:
        self._under_way.inc()

    def ended(self, method: str, route: str, status: int, seconds: float) -> None:
        self._under_way.dec()
        method = method if method in METHODS else "OTHER"  # else whoever asks decides how many there are
        key = (method, route, status)
        known = self._known.get(key)
        if known is None:
            known = self._requests.labels(method, route or "none", str(status)), self._seconds.labels(route or "none")
            self._known[key] = known
        known[0].inc()
        known[1].observe(seconds)

    def stream(self, change: int) -> None:
        """One more, or one less."""
        self._streams.inc(change)

    def text(self, projects: Collection[str] | None) -> bytes:
        """For Prometheus; of runs those of `projects` alone, or all of them without."""
        return b"".join(
            map(
                generate_latest,
                (
                    self._registry,
                    _of_traffic(self._traffic),
                    self._of_workspace(projects),
                    self._of_endpoints(projects),
                ),
            )
        )

    def _of_endpoints(self, projects: Collection[str] | None) -> CollectorRegistry:
        registry = CollectorRegistry()
        with suppress(ServerUnavailable):  # the rest can be told without the controller
            registry.register(EndpointMeasures(self._workspace.endpoint_counts(), projects))
        return registry

    def _of_workspace(self, projects: Collection[str] | None) -> CollectorRegistry:
        registry = CollectorRegistry()
        seq = Gauge("raykqi_index_seq", "The journal entry up to which this index has come", registry=registry)
        seq.set(self._workspace.seq)
        commits = Counter("raykqi_commits", "Entries of the journal", registry=registry)
        commits.inc(self._workspace.seq)
        runs = Gauge("raykqi_runs", "Runs by project and status", ["project", "status"], registry=registry)
        queue = Gauge("raykqi_queue_length", "Runs that wait", ["project"], registry=registry)
        for project, status, count in self._workspace.count_everywhere():
            if projects is None or project in projects:
                runs.labels(project, status).set(count)
                queue.labels(project).inc(count if status in WAITING else 0)
        return registry


def _of_traffic(traffic: Traffic) -> CollectorRegistry:
    registry = CollectorRegistry()
    counts = traffic.values()
    moved = Counter("raykqi_transfer_bytes", "Bytes of data in and out", ["direction"], registry=registry)
    ended = Counter("raykqi_transfers", "Uploads and downloads that ended", ["direction", "outcome"], registry=registry)
    active = Gauge("raykqi_transfers_under_way", "Uploads and downloads now", ["direction"], registry=registry)
    for direction, kind in (("in", "upload"), ("out", "download")):
        moved.labels(direction).inc(counts[f"{kind}_bytes"])
        ended.labels(direction, "done").inc(counts[f"{kind}s"])
        ended.labels(direction, "failed").inc(counts[f"{kind}s_failed"])
        active.labels(direction).set(counts[f"{kind}s_active"])
    ended.labels("in", "refused").inc(counts["uploads_refused"])
    return registry
