"""Function plans on a real Ray: many in a task, and none at the mercy of its neighbours."""

from __future__ import annotations

from collections import Counter

import ray

from raykqi.domain.order import Attempt, Ended, Lost, Running
from raykqi.domain.resources import Resources
from tests.integration.cluster.cluster_lab import ClusterLab, until


def test_a_function_runs_and_its_output_is_in_the_store(cluster_lab: ClusterLab) -> None:
    order = cluster_lab.function("write", text="語")
    nodes = cluster_lab.nodes()

    nodes.start([order])

    assert cluster_lab.hear(Running, order.attempt) == Running(order.attempt, nodes.shapes()[0].name)
    ended = cluster_lab.end(order.attempt)
    assert isinstance(ended, Ended)
    assert (ended.exit.code, cluster_lab.content(ended)) == (0, {"text": "語"})


def test_of_many_only_the_one_that_kills_its_worker_is_lost_and_it_ran_once(cluster_lab: ClusterLab) -> None:
    trace = cluster_lab.folder / "trace"
    hows = ["fine"] * 120
    hows[60], hows[70], hows[80] = "raise", "sys.exit", "os._exit"
    orders = [cluster_lab.function("mixed", how=how, trace=str(trace)) for how in hows]

    cluster_lab.nodes().start(orders)

    ends = cluster_lab.ends([order.attempt for order in orders])
    told = [ends[order.attempt] for order in orders]
    codes = Counter(end.exit.code if isinstance(end, Ended) else "lost" for end in told)
    assert codes == {0: 117, 1: 1, 3: 1, "lost": 1}
    assert isinstance(told[80], Lost)
    assert told[80].reason.startswith("its process on the node died")
    assert isinstance(told[60], Ended)
    assert told[60].exit.message == "ValueError: no such 値"
    assert trace.read_text(encoding="utf-8").splitlines().count("os._exit") == 1
    assert list((cluster_lab.folder / "runs").iterdir()) == []


def test_a_stopped_function_is_interrupted_and_keeps_what_it_made(cluster_lab: ClusterLab) -> None:
    flag = cluster_lab.folder / "flag"
    order = cluster_lab.function("linger", flag=str(flag))
    nodes = cluster_lab.nodes()
    nodes.start([order])
    until(flag.exists)

    nodes.stop(order.attempt, grace=30)

    ended = cluster_lab.end(order.attempt, within=20)
    assert isinstance(ended, Ended)
    assert (ended.exit.code, cluster_lab.content(ended)) == (130, {"part": "half"})


def test_a_function_that_ignores_interrupts_is_killed_after_the_grace(cluster_lab: ClusterLab) -> None:
    flag = cluster_lab.folder / "flag"
    order = cluster_lab.function("stubborn", flag=str(flag))
    nodes = cluster_lab.nodes()
    nodes.start([order])
    until(flag.exists)

    nodes.stop(order.attempt, grace=1)

    ended = cluster_lab.end(order.attempt, within=20)
    assert isinstance(ended, Ended)
    assert ended.exit.code == 253
    until(lambda: ray.available_resources().get("CPU") == 4)


def test_stopping_one_that_hangs_does_not_harm_those_in_its_task(cluster_lab: ClusterLab) -> None:
    trace = cluster_lab.folder / "trace"
    quick = [cluster_lab.function("mixed", how="fine", trace=str(trace)) for _ in range(20)]
    nodes = cluster_lab.nodes()
    nodes.start(quick)
    cluster_lab.ends([order.attempt for order in quick])
    hows = ["fine"] * 40
    hows[3] = "hang"
    orders = [cluster_lab.function("mixed", how=how, trace=str(trace)) for how in hows]
    nodes.start(orders)
    until(lambda: "hang" in trace.read_text(encoding="utf-8"))

    nodes.stop(orders[3].attempt, grace=1)

    ends = cluster_lab.ends([order.attempt for order in orders], within=30)
    codes = [end.exit.code for end in (ends[order.attempt] for order in orders) if isinstance(end, Ended)]
    assert codes == [0, 0, 0, 253, *[0] * 36]


def test_waiting_functions_can_be_stopped_before_they_begin(cluster_lab: ClusterLab) -> None:
    orders = [cluster_lab.function("write", resources=Resources(cpu=99_000, memory=0)) for _ in range(40)]
    nodes = cluster_lab.nodes()
    nodes.start(orders)

    for order in orders:
        nodes.stop(order.attempt, grace=600)

    ends = cluster_lab.ends([order.attempt for order in orders], within=30)
    assert {end.exit.code for end in ends.values() if isinstance(end, Ended)} == {253}
    assert len(ends) == 40


def test_quarters_share_one_gpu_and_a_function_without_sees_none(cluster_lab: ClusterLab) -> None:
    quarter = Resources(cpu=100, memory=0, gpu=250)
    orders = [cluster_lab.function("surroundings", resources=quarter) for _ in range(4)]
    orders.append(cluster_lab.function("surroundings"))

    cluster_lab.nodes().start(orders)

    ends = cluster_lab.ends([order.attempt for order in orders])
    assert [seen(cluster_lab, ends, order.attempt)["gpu"] for order in orders] == ["0", "0", "0", "0", ""]


def test_a_function_sees_no_secret_and_nothing_of_the_one_who_started_ray(cluster_lab: ClusterLab) -> None:
    order = cluster_lab.function("surroundings")

    cluster_lab.nodes().start([order])

    made = seen(cluster_lab, cluster_lab.ends([order.attempt]), order.attempt)
    assert "only-for-ray" not in made["environment"]
    names = [line.partition("=")[0] for line in made["environment"].splitlines()]
    assert [name for name in names if name.startswith(("RAY_", "AWS_", "PYTEST_"))] == []


def test_a_worker_serves_the_runs_of_one_code_alone(cluster_lab: ClusterLab) -> None:
    nodes = cluster_lab.nodes()
    pids = []
    for version in (1, 1, 2):
        order = cluster_lab.function("surroundings", version=version)
        nodes.start([order])
        pids.append(seen(cluster_lab, cluster_lab.ends([order.attempt]), order.attempt)["pid"])

    assert pids[0] == pids[1]
    assert pids[2] != pids[0]


def test_a_function_run_of_a_controller_that_is_gone_is_lost_without_blame(cluster_lab: ClusterLab) -> None:
    attempt = Attempt("019aa5a2-0000-7000-8000-000000000001", 1)
    nodes = cluster_lab.nodes()

    nodes.adopt([attempt])

    lost = cluster_lab.end(attempt)
    assert isinstance(lost, Lost)
    assert lost.blameless


def seen(lab: ClusterLab, ends: dict[Attempt, Ended | Lost], attempt: Attempt) -> dict[str, str]:
    ended = ends[attempt]
    assert isinstance(ended, Ended)
    assert ended.exit.code == 0, ended.exit
    return lab.content(ended)
