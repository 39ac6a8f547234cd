"""What is over the quota of its project waits, says why, and goes on when there is room; others are not held up."""

from __future__ import annotations

import pytest

from raykqi.domain.access import Quota
from raykqi.domain.run import Run
from raykqi.errors import QuotaExceeded
from raykqi.workspace import Workspace
from tests.integration.runs.bench import GIB, SOON, Bench

FOREVER = "trap 'exit 0' TERM; sleep 600 & wait"


@pytest.fixture
def bench(plain_bench: Bench) -> Bench:
    return plain_bench


def limit(bench: Bench, **quota: int | None) -> None:
    bench.ws.change_project("default", quota=Quota(**quota))


def other_project(bench: Bench) -> Workspace:
    bench.ws.create_project("lab-2")
    return bench.ws.acting(user="jiro", project="lab-2")


def started(ws: Workspace, count: int) -> list[Run]:
    """So many runs, the oldest, have come to a node."""
    runs = ws.runs(oldest_first=True)[:count]
    return ws.wait(runs, until=("running",), timeout=SOON)


def waiting(ws: Workspace) -> list[Run]:
    return ws.runs(status="waiting", oldest_first=True)


def test_only_so_many_runs_of_a_project_are_under_way(bench: Bench) -> None:
    limit(bench, running=1)
    bench.plan(FOREVER, outputs={"/out": ["b:1"]})
    bench.push("a:1")
    bench.push("a:1")
    bench.serve(cpus=4)

    started(bench.ws, 1)

    (held,) = waiting(bench.ws)
    assert held.reason == (
        "1 of at most 1 runs of project default are under way (quota): it starts when one of them ends; "
        "or ask an administrator of the workspace to raise the quota"
    )
    bench.ws.stop([run.id for run in bench.ws.runs(status="running")])
    started_later = bench.until(held, "running")
    assert started_later.status == "running"


@pytest.mark.parametrize(
    ("quota", "resources", "taken"),
    [
        ({"cpu": 3000}, "{cpu: 2, memory: 64Mi}", "2 of the 3 CPUs that project default may take are taken (quota)"),
        (
            {"memory": GIB},
            "{cpu: 0.5, memory: 768Mi}",
            "768Mi of the 1Gi of memory that project default may take are taken (quota)",
        ),
        (
            {"gpu": 1500},
            "{cpu: 0.5, memory: 64Mi, gpu: 1}",
            "1 of the 1.5 GPUs that project default may take are taken (quota)",
        ),
    ],
)
def test_runs_of_a_project_take_no_more_than_its_quota_together(
    bench: Bench, quota: dict[str, int], resources: str, taken: str
) -> None:
    limit(bench, **quota)
    bench.plan(FOREVER, outputs={"/out": ["b:1"]}, more=f"resources: {resources}")
    bench.push("a:1")
    bench.push("a:1")
    bench.serve(cpus=8, gpus=4)

    started(bench.ws, 1)

    (held,) = waiting(bench.ws)
    assert held.reason.startswith(taken)
    assert "it starts when other runs end" in held.reason


def test_raising_the_quota_lets_runs_start_at_once(bench: Bench) -> None:
    limit(bench, running=0)
    bench.plan("true")
    bench.push("a:1")
    server = bench.serve()
    assert server.drain(SOON)
    (held,) = waiting(bench.ws)
    assert held.reason.startswith("project default may run nothing (quota)")

    limit(bench, running=1)

    assert bench.until(held, "done").status == "done"


def test_a_run_that_asks_for_more_than_the_whole_quota_says_so_and_waits(bench: Bench) -> None:
    limit(bench, cpu=1000)
    bench.plan("true", more="name: big\nresources: {cpu: 2, memory: 64Mi}")
    bench.plan("true", more="name: small")
    bench.push("a:1")
    bench.serve()

    bench.drain()

    (big,), (small,) = bench.ws.runs(plan="big"), bench.ws.runs(plan="small")
    assert (big.status, small.status) == ("waiting", "done")
    assert big.reason == (
        "it asks for 2 CPUs, and all runs of project default together may take 1 (quota): lower the resources of "
        "its plan, or ask an administrator of the workspace to raise the quota"
    )
    bench.ws.change_resources("big", {"cpu": 1})
    assert bench.until(big, "done").status == "done"


def test_a_project_over_its_quota_holds_up_no_other(bench: Bench) -> None:
    other = other_project(bench)
    limit(bench, running=1)
    bench.plan(FOREVER, outputs={"/out": ["b:1"]}, more="priority: 10")
    for _ in range(3):
        bench.push("a:1")
    other.apply(bench.text("true"))
    other.push(bench.lab.files("theirs", {"a": b"a"}), ["a:1"])
    bench.serve(cpus=2)

    (theirs,) = other.wait(other.runs(), timeout=SOON)

    assert theirs.status == "done"
    started(bench.ws, 1)
    assert len(waiting(bench.ws)) == 2


def test_what_others_run_counts_for_none_of_a_projects_quota(bench: Bench) -> None:
    other = other_project(bench)
    other.apply(bench.text(FOREVER, outputs={"/out": ["b:1"]}))
    other.push(bench.lab.files("theirs", {"a": b"a"}), ["a:1"])
    limit(bench, running=1, cpu=500)
    bench.serve(cpus=4)
    started(other, 1)

    bench.plan("true")
    bench.push("a:1")

    assert bench.until(bench.only_run(), "done").status == "done"


def test_quotas_hold_over_a_restart(bench: Bench) -> None:
    limit(bench, running=1)
    bench.plan("true")
    bench.push("a:1")
    bench.restart()
    limit(bench, running=0)

    bench.serve()
    bench.drain()

    assert [run.status for run in bench.ws.runs()] == ["waiting"]


def test_a_project_that_is_full_starts_no_more_runs_until_there_is_room(bench: Bench) -> None:
    old = bench.push("old:yes", content={"file": bytes(700)})
    bench.plan("true")
    bench.push("a:1", content={"file": b"x" * 400})
    limit(bench, storage=1000)
    bench.serve()
    bench.drain()

    (held,) = waiting(bench.ws)
    assert held.reason == (
        "the data of project default take 1.1 KiB of at most 1000 B (quota): purge or remove some; "
        "or ask an administrator of the workspace to raise the quota"
    )
    bench.ws.purge(old.id, "room is needed")
    assert bench.until(held, "done").status == "done"


def test_what_does_not_fit_into_the_quota_is_refused_and_fits_after_it_was_raised(bench: Bench) -> None:
    limit(bench, storage=1000)
    first = bench.push("a:1", content={"file": bytes(600)})
    source = bench.lab.files("second", {"file": b"x" * 600})

    with pytest.raises(QuotaExceeded) as refused:
        bench.ws.push(source, ["a:2"])

    assert str(refused.value) == (
        "project default holds 600 B of at most 1000 B: there is no room for 600 B more\n"
        "Purge or remove data, or ask an administrator of the workspace to raise the quota."
    )
    assert bench.ws.find() == [first]
    limit(bench, storage=1200)
    assert bench.ws.push(source, ["a:2"]).tree.size == 600
    bench.check()


def test_content_that_is_there_takes_no_room(bench: Bench) -> None:
    limit(bench, storage=1000)
    source = bench.lab.files("first", {"file": bytes(600)})
    bench.ws.push(source)

    assert bench.ws.push(source, ["again:yes"]).tree.size == 600
    assert bench.ws.usage().storage == 600


def test_a_full_project_takes_in_nothing_and_others_do(bench: Bench) -> None:
    other = other_project(bench)
    source = bench.lab.files("first", {"file": bytes(600)})
    bench.ws.push(source)
    limit(bench, storage=600)

    with pytest.raises(QuotaExceeded, match="nothing more is taken in"):
        bench.ws.push(bench.lab.files("second", {"file": b"y"}))

    assert other.push(source).tree.size == 600


def test_what_runs_make_is_kept_although_the_project_is_full_then(bench: Bench) -> None:
    limit(bench, storage=100)
    bench.plan("head -c 5000 /dev/zero > {outputs.out}/file", outputs={"/out": ["b:1"]})
    bench.push("a:1")
    bench.serve()

    bench.drain()

    assert [data.tree.size for data in bench.ws.find("b:1")] == [5000]
    with pytest.raises(QuotaExceeded):
        bench.push("a:1")


def test_a_run_takes_no_outputs_of_another_project(bench: Bench) -> None:
    other = other_project(bench)
    source = bench.lab.files("same", {"file": b"same"})
    text = bench.text("echo hi > {outputs.out}/file", outputs={"/out": ["b:1"]}, more="reuse: true")
    other.apply(text)
    other.push(source, ["a:1"])
    bench.ws.apply(text)
    bench.serve()
    other.wait(timeout=SOON)

    bench.ws.push(source, ["a:1"])
    own = bench.until(bench.only_run(), "done")
    assert own.reused_from == ""

    again = bench.ws.push(source, ["a:1"])
    (second,) = bench.ws.wait(bench.ws.runs(input=again.id), timeout=SOON)
    assert second.reused_from == own.id
