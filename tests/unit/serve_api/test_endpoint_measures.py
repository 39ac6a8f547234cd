"""What Prometheus is told of endpoints."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from raykqi.domain.rollout import LATENCIES_MS, Counts
from raykqi.workspace.replica_verbs import EndpointCounts
from serve_api.endpoint_measures import EndpointMeasures


def told(*counts: EndpointCounts, projects: set[str] | None = None) -> list[str]:
    registry = CollectorRegistry()
    registry.register(EndpointMeasures(counts, projects))
    return [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]


def test_answers_latencies_and_batches_are_told_by_revision() -> None:
    latencies = (3, 2, *[0] * (len(LATENCIES_MS) - 1))
    lines = told(EndpointCounts("digits", "lab", 2, Counts(5, 1, 1, 0.25, latencies, 4)))

    of = 'endpoint="digits",project="lab",revision="2"'
    assert 'raykqi_endpoint_answers_total{endpoint="digits",outcome="done",project="lab",revision="2"} 3.0' in lines
    assert 'raykqi_endpoint_answers_total{endpoint="digits",outcome="failed",project="lab",revision="2"} 1.0' in lines
    assert 'raykqi_endpoint_seconds_bucket{endpoint="digits",le="0.001",project="lab",revision="2"} 3.0' in lines
    assert 'raykqi_endpoint_seconds_bucket{endpoint="digits",le="+Inf",project="lab",revision="2"} 5.0' in lines
    assert f"raykqi_endpoint_seconds_sum{{{of}}} 0.25" in lines
    assert f"raykqi_endpoint_batches_total{{{of}}} 4.0" in lines


def test_of_projects_that_are_not_the_callers_nothing_is_told() -> None:
    mine, other = EndpointCounts("a", "mine", 1, Counts(1)), EndpointCounts("b", "other", 1, Counts(1))

    lines = told(mine, other, projects={"mine"})

    assert any('endpoint="a"' in line for line in lines)
    assert not any('endpoint="b"' in line for line in lines)
