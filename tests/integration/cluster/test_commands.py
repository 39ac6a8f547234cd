"""Command plans on a real Ray: each attempt is told to its end once, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import uuid

import psutil
import ray

from raykqi.cluster.run_actor import NAMESPACE, actor_name
from raykqi.domain.order import Attempt, Completing, Ended, Lost, Running
from raykqi.domain.plan import NodeRules
from raykqi.domain.resources import Resources
from tests.integration.cluster.cluster_lab import ClusterLab, alive, until


def supervisor_of(attempt: Attempt) -> int:
    """The process of its actor."""
    actor = ray.get_actor(actor_name(attempt), namespace=NAMESPACE)
    return int(ray.get(actor.__ray_call__.remote(lambda _: os.getpid())))


def cpus_free() -> float:
    return float(ray.available_resources().get("CPU", 0))


def test_a_command_runs_and_its_output_is_in_the_store(cluster_lab: ClusterLab) -> None:
    order = cluster_lab.command("echo 漢字 > $RAYKQI_OUTPUT_MADE/語.txt")
    nodes = cluster_lab.nodes()

    nodes.start([order])

    assert cluster_lab.hear(Running, order.attempt) == Running(order.attempt, nodes.shapes()[0].name)
    assert cluster_lab.hear(Completing, order.attempt) == Completing(order.attempt)
    ended = cluster_lab.end(order.attempt)
    assert isinstance(ended, Ended)
    assert ended.exit.code == 0
    assert cluster_lab.content(ended) == {"語.txt": "漢字\n"}


def test_a_dismissed_run_frees_its_actor_and_its_folder(cluster_lab: ClusterLab) -> None:
    order = cluster_lab.command("true")
    nodes = cluster_lab.nodes()
    nodes.start([order])
    cluster_lab.end(order.attempt)
    until(lambda: cpus_free() == 3)

    nodes.dismiss(order.attempt)

    until(lambda: cpus_free() == 4)
    assert list((cluster_lab.folder / "runs").iterdir()) == []


def test_a_stopped_command_ends_by_sigterm_and_what_it_made_is_stored(cluster_lab: ClusterLab) -> None:
    flag = cluster_lab.folder / "made"
    order = cluster_lab.command(f"echo half > $RAYKQI_OUTPUT_MADE/part; touch {flag}; sleep 600")
    nodes = cluster_lab.nodes()
    nodes.start([order])
    until(flag.exists)

    nodes.stop(order.attempt, grace=5)

    ended = cluster_lab.end(order.attempt, within=20)
    assert isinstance(ended, Ended)
    assert ended.exit.code == 143
    assert cluster_lab.content(ended) == {"part": "half\n"}


def test_a_stop_before_it_was_placed_ends_it_at_once(cluster_lab: ClusterLab) -> None:
    order = cluster_lab.command("true", resources=Resources(cpu=99_000, memory=0))
    nodes = cluster_lab.nodes()
    nodes.start([order])

    nodes.stop(order.attempt, grace=600)

    ended = cluster_lab.end(order.attempt, within=20)
    assert isinstance(ended, Ended)
    assert ended.exit.code == 253


def test_a_killed_supervisor_is_told_as_lost_once_and_leaves_no_process(cluster_lab: ClusterLab) -> None:
    marker = uuid.uuid4().hex
    order = cluster_lab.command(f"setsid sh -c 'sleep 600; true' {marker} & sleep 600; true")
    nodes = cluster_lab.nodes()
    nodes.start([order])
    until(lambda: alive(marker))

    psutil.Process(supervisor_of(order.attempt)).send_signal(signal.SIGKILL)

    lost = cluster_lab.end(order.attempt)
    assert isinstance(lost, Lost)
    assert lost.reason.startswith("its process on the node died")
    until(lambda: not alive(marker), within=10)
    until(lambda: cpus_free() == 4)


def test_a_receipt_tells_the_end_of_a_run_whose_supervisor_died_before_it_could(cluster_lab: ClusterLab) -> None:
    order = cluster_lab.command("echo 1 > $RAYKQI_OUTPUT_MADE/one")
    first = cluster_lab.nodes()
    first.start([order])
    cluster_lab.end(order.attempt)
    supervisor = psutil.Process(supervisor_of(order.attempt))
    first.close(leave_running=True)
    supervisor.kill()
    supervisor.wait(10) if supervisor.is_running() else None

    until(lambda: cpus_free() == 4)
    cluster_lab.nodes().adopt([order.attempt])

    ended = cluster_lab.end(order.attempt)
    assert isinstance(ended, Ended)
    assert cluster_lab.content(ended) == {"one": "1\n"}


def test_a_later_controller_adopts_a_run_and_hears_its_end(cluster_lab: ClusterLab) -> None:
    flag = cluster_lab.folder / "go"
    order = cluster_lab.command(f"while [ ! -e {flag} ]; do sleep 0.1; done; echo 2 > $RAYKQI_OUTPUT_MADE/two")
    first = cluster_lab.nodes()
    first.start([order])
    cluster_lab.hear(Running, order.attempt)
    first.close(leave_running=True)

    second = cluster_lab.nodes()
    second.adopt([order.attempt])
    flag.touch()

    ended = cluster_lab.end(order.attempt)
    assert isinstance(ended, Ended)
    assert cluster_lab.content(ended) == {"two": "2\n"}
    assert second.executor == first.executor


def test_what_nobody_carries_out_is_lost_without_blame(cluster_lab: ClusterLab) -> None:
    attempt = Attempt("019aa5a2-0000-7000-8000-000000000000", 3)

    cluster_lab.nodes().adopt([attempt])

    lost = cluster_lab.end(attempt)
    assert isinstance(lost, Lost)
    assert lost.blameless


def test_outputs_are_stored_again_when_that_is_asked_for(cluster_lab: ClusterLab) -> None:
    order = cluster_lab.command("echo 3 > $RAYKQI_OUTPUT_MADE/three")
    nodes = cluster_lab.nodes()
    nodes.start([order])
    first = cluster_lab.end(order.attempt)

    nodes.store_again(order.attempt)

    again = cluster_lab.end(order.attempt)
    assert isinstance(first, Ended)
    assert isinstance(again, Ended)
    assert again.stored == first.stored


def test_a_command_goes_where_it_must_and_elsewhere_if_it_only_prefers(cluster_lab: ClusterLab) -> None:
    there = cluster_lab.command("true", rules=NodeRules(must=("zone=a",), prefer=("zone=a", "disk=ssd")))
    elsewhere = cluster_lab.command("true", rules=NodeRules(must=("zone=nowhere",)))
    nodes = cluster_lab.nodes()

    nodes.start([elsewhere, there])

    ended = cluster_lab.end(there.attempt)
    assert isinstance(ended, Ended)
    assert ended.exit.code == 0
    nodes.stop(elsewhere.attempt, grace=0)
    stopped = cluster_lab.end(elsewhere.attempt)
    assert isinstance(stopped, Ended)
    assert stopped.exit.code == 253


def test_a_label_that_ray_does_not_know_ends_the_run_with_what_is_wrong(cluster_lab: ClusterLab) -> None:
    order = cluster_lab.command("true", rules=NodeRules(must=("zone=not a label!",)))

    cluster_lab.nodes().start([order])

    ended = cluster_lab.end(order.attempt)
    assert isinstance(ended, Ended)
    assert ended.exit.code == 255
    assert "not a label!" in ended.exit.message


def test_quarters_share_one_gpu_and_a_run_without_sees_none(cluster_lab: ClusterLab) -> None:
    script = 'printf %s "[$CUDA_VISIBLE_DEVICES]" > $RAYKQI_OUTPUT_MADE/gpu'
    quarters = [cluster_lab.command(script, resources=Resources(cpu=100, memory=0, gpu=250)) for _ in range(4)]
    without = cluster_lab.command(script, resources=Resources(cpu=100, memory=0))
    orders = [*quarters, without]

    cluster_lab.nodes().start(orders)

    seen = []
    ends = cluster_lab.ends([order.attempt for order in orders])
    for order in orders:
        ended = ends[order.attempt]
        assert isinstance(ended, Ended)
        seen.append(cluster_lab.content(ended)["gpu"])
    assert seen == ["[0]", "[0]", "[0]", "[0]", "[]"]


def test_a_command_sees_no_secret_of_ray_or_the_storage(cluster_lab: ClusterLab) -> None:
    order = cluster_lab.command("env > $RAYKQI_OUTPUT_MADE/env; ulimit -a >/dev/null; nice > $RAYKQI_OUTPUT_MADE/nice")

    cluster_lab.nodes().start([order])

    ended = cluster_lab.end(order.attempt)
    assert isinstance(ended, Ended)
    made = cluster_lab.content(ended)
    assert "only-for-ray" not in made["env"]
    assert [line for line in made["env"].splitlines() if line.startswith(("RAY_", "AWS_"))] == []
