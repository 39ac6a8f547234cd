"""A whole node goes, or is cut off: each run on it is told as lost once, and what comes back later says nothing."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from raykqi.cluster.shapes import node_shapes
from raykqi.domain.order import Lost, Running
from raykqi.domain.plan import NodeRules
from tests.integration.cluster.cluster_lab import ClusterLab, until
from tests.integration.cluster.raylets import processes_of, second_node, tell

LEFT = NodeRules(must=("side=left",))


@pytest.fixture
def left(ray_here: str, ray_folder: Path) -> Iterator[psutil.Process]:
    with second_node(ray_here, ray_folder, name="left", cpus=2, labels={"side": "left"}) as node:
        until(lambda: "left" in [shape.name for shape in node_shapes()])
        yield node


def test_a_node_that_dies_loses_its_runs_once_and_its_shape_goes(left: psutil.Process, cluster_lab: ClusterLab) -> None:
    order = cluster_lab.command("sleep 600; true", rules=LEFT)
    called = cluster_lab.function("linger", flag=str(cluster_lab.folder / "flag"), rules=LEFT)
    nodes = cluster_lab.nodes()
    assert "left" in [shape.name for shape in nodes.shapes()]
    nodes.start([called])
    assert cluster_lab.hear(Running, called.attempt) == Running(called.attempt, "left")
    nodes.start([order])
    assert cluster_lab.hear(Running, order.attempt) == Running(order.attempt, "left")

    tell(processes_of(left), signal.SIGKILL)

    ends = cluster_lab.ends([order.attempt, called.attempt])
    assert ends[order.attempt] == Lost(order.attempt, "the node it ran on is gone")
    assert ends[called.attempt] == Lost(called.attempt, "the node it ran on is gone")
    until(lambda: "left" not in [shape.name for shape in nodes.shapes()], within=20)


def test_a_node_cut_off_until_its_run_was_lost_says_nothing_more(left: psutil.Process, cluster_lab: ClusterLab) -> None:
    flag = cluster_lab.folder / "go"
    order = cluster_lab.command(f"while [ ! -e {flag} ]; do sleep 0.1; done", rules=LEFT)
    nodes = cluster_lab.nodes()
    nodes.start([order])
    cluster_lab.hear(Running, order.attempt)
    frozen = processes_of(left)
    tell(frozen, signal.SIGSTOP)
    assert isinstance(cluster_lab.end(order.attempt), Lost)

    flag.touch()
    tell(frozen, signal.SIGCONT)

    until(lambda: not any(alive_still(process) for process in frozen), within=30)
    assert cluster_lab.heard.empty()


def alive_still(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
