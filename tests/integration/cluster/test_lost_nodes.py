"""A whole node goes, or is cut off: each run on it is told as lost once, and what comes back later says nothing."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import ray

from raykqi.cluster.shapes import node_shapes
from raykqi.domain.order import Lost, Running
from raykqi.domain.plan import NodeRules
from raykqi.opening import create_workspace
from raykqi.settings import Settings
from tests.integration.cluster.cluster_lab import ClusterLab, until
from tests.integration.cluster.raylets import processes_of, second_node

LEFT = NodeRules(must=("side=left",))
SOON = {
    "health_check_initial_delay_ms": 0,
    "health_check_timeout_ms": 1000,
    "health_check_period_ms": 500,
    "health_check_failure_threshold": 4,
}


@pytest.fixture(scope="module")
def address(ray_folder: Path) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(ray_folder / "home"))
        patch.setenv("RAY_AUTH_MODE", "disabled")
        context = ray.init(
            address="local",
            namespace="raykqi",
            num_cpus=1,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            _temp_dir=str(ray_folder),
            _system_config=SOON,
        )
        yield context.address_info["gcs_address"]
        ray.shutdown()


@pytest.fixture
def left(address: str, ray_folder: Path) -> Iterator[psutil.Process]:
    with second_node(address, ray_folder, name="left", cpus=2, labels={"side": "left"}) as node:
        until(lambda: "left" in [shape.name for shape in node_shapes()])
        yield node


@pytest.fixture
def lab(address: str, tmp_path: Path) -> Iterator[ClusterLab]:
    settings = Settings(user="tester", cache_dir=tmp_path / "cache", lock_timeout=20.0, storage_timeout=5.0)
    create_workspace(str(tmp_path / "workspace"), settings)
    lab = ClusterLab(str(tmp_path / "workspace"), settings, tmp_path)
    yield lab
    lab.close()


def test_a_node_that_dies_loses_its_runs_once_and_its_shape_goes(left: psutil.Process, lab: ClusterLab) -> None:
    order = lab.command("sleep 600; true", rules=LEFT)
    called = lab.function("linger", flag=str(lab.folder / "flag"), rules=LEFT)
    nodes = lab.nodes()
    assert "left" in [shape.name for shape in nodes.shapes()]
    nodes.start([called])
    assert lab.hear(Running, called.attempt) == Running(called.attempt, "left")
    nodes.start([order])
    assert lab.hear(Running, order.attempt) == Running(order.attempt, "left")

    for process in processes_of(left):
        process.kill()

    ends = lab.ends([order.attempt, called.attempt])
    assert ends[order.attempt] == Lost(order.attempt, "the node it ran on is gone")
    assert ends[called.attempt] == Lost(called.attempt, "the node it ran on is gone")
    until(lambda: "left" not in [shape.name for shape in nodes.shapes()], within=20)


def test_a_node_cut_off_until_its_run_was_lost_says_nothing_more(left: psutil.Process, lab: ClusterLab) -> None:
    flag = lab.folder / "go"
    order = lab.command(f"while [ ! -e {flag} ]; do sleep 0.1; done", rules=LEFT)
    nodes = lab.nodes()
    nodes.start([order])
    lab.hear(Running, order.attempt)
    frozen = processes_of(left)
    for process in frozen:
        process.send_signal(signal.SIGSTOP)
    assert isinstance(lab.end(order.attempt), Lost)

    flag.touch()
    for process in frozen:
        process.send_signal(signal.SIGCONT)

    until(lambda: not any(alive_still(process) for process in frozen), within=30)
    assert lab.heard.empty()


def alive_still(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
