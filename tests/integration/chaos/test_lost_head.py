"""The head of a cluster that keeps its own state on disk is killed and started again: what runs elsewhere goes on."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from raykqi.domain.run import Exit
from tests.integration.chaos.nodes import Cluster, until
from tests.integration.chaos.served import Served
from tests.integration.lab import Lab

# Ray starts no head where it sees another node of the same cluster, which is never so on machines of their own.
ALONE = ("unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc")


@pytest.fixture(scope="module")
def lasting(ray_folder: Path) -> Iterator[Cluster]:
    """Its head forgets nothing."""
    kept = {"RAY_gcs_storage": "rocksdb", "RAY_gcs_storage_path": str(ray_folder / "gcs")}
    if subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no PID namespace can be made here")
    made = Cluster.begin(ray_folder, cpus=2, within=ALONE, **kept)
    try:
        made.look("head")
        made.join("second", cpus=2)
        made.look("head", "second")
        yield made
    finally:
        made.close()


def test_a_run_on_another_node_outlives_the_head(lasting: Cluster, lab: Lab) -> None:
    served = Served(lasting, lab)
    go, ticks = lab.folder / "go", lab.folder / "ticks"
    served.bench.plan(
        f"until [ -e {go} ]; do date >> {ticks}; sleep 0.1; done\necho $RAYKQI_ATTEMPT > {{outputs.made}}/attempt",
        inputs={"/in": ["to:wait"]},
        outputs={"/made": ["by:wait"]},
        more="resources: {cpu: 0.5, memory: 0}\non_node: {must: [side=second]}",
    )
    served.serve()
    served.bench.push("to:wait")
    run = served.bench.until(served.bench.only_run(), "running")
    command = until(lambda: (beat := served.ws.beat(run)) and beat.pid)
    born = psutil.Process(command).create_time()

    lasting.head.kill()
    served.kill()
    before = ticks.stat().st_size
    until(lambda: ticks.stat().st_size > before)
    lasting.head.start()
    lasting.look("head", "second")
    served.serve()
    assert psutil.Process(command).create_time() == born
    go.touch()
    (ended,) = served.wait([run])

    assert (ended.status, ended.attempt, ended.node, ended.exit) == ("done", 1, "second", Exit(0))
    served.assert_nothing_is_left()
    served.close()


@pytest.mark.soak
def test_a_controller_whose_own_node_died_ends_and_the_next_one_goes_on(lasting: Cluster, lab: Lab) -> None:
    served = Served(lasting, lab)
    go = lab.folder / "go"
    served.bench.plan(
        f"until [ -e {go} ]; do sleep 0.1; done\necho $RAYKQI_ATTEMPT > {{outputs.made}}/attempt",
        inputs={"/in": ["to:wait"]},
        outputs={"/made": ["by:wait"]},
        more="resources: {cpu: 0.5, memory: 0}\non_node: {must: [side=second]}",
    )
    lasting.nodes["second"].kill()
    lasting.look("head")
    served.serve()  # by way of the head, as there is no other node
    lasting.nodes["second"].start()
    lasting.look("head", "second")
    served.bench.push("to:wait")
    run = served.bench.until(served.bench.only_run(), "running")

    lasting.head.kill()
    lasting.head.start()
    lasting.look("head", "second")
    until(lambda: not served.is_serving)
    served.kill()  # its pipes
    assert "the Ray node by which this process was connected has died" in served.log.read_text(encoding="utf-8")
    served.serve()
    go.touch()
    (ended,) = served.wait([run])

    assert (ended.status, ended.attempt, ended.exit) == ("done", 1, Exit(0))
    served.assert_nothing_is_left()
    served.close()
