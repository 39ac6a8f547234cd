"""What a project uses: its data each tree once, its runs by state, what they took by who caused them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from raykqi.domain.access import Quota
from raykqi.errors import UnknownId
from tests.integration.runs.bench import Bench


@pytest.fixture
def bench(plain_bench: Bench) -> Bench:
    return plain_bench


def test_a_tree_counts_once_until_the_last_data_with_it_is_given_up(bench: Bench) -> None:
    source = bench.lab.files("same", {"file": bytes(600)})
    first, second = bench.ws.push(source), bench.ws.push(source)
    bench.ws.push(bench.lab.files("more", {"file": bytes(100)}))
    bench.ws.create_project("lab-2")
    other = bench.ws.acting(user="jiro", project="lab-2")
    other.push(source)

    assert (bench.ws.usage().storage, bench.ws.usage().data) == (700, 3)
    bench.ws.purge(first.id, "old")
    assert bench.ws.usage().storage == 700
    bench.ws.remove(second.id, "old")
    assert (bench.ws.usage().storage, bench.ws.usage().data) == (100, 2)
    assert (other.usage().storage, bench.ws.usage("lab-2").storage) == (600, 600)


def test_runs_are_counted_by_state_and_what_they_take_now(bench: Bench) -> None:
    bench.ws.change_project("default", quota=Quota(cpu=4000, running=1))
    bench.plan("trap 'exit 0' TERM; sleep 600 & wait", outputs={"/out": ["b:1"]})
    for _ in range(3):
        bench.push("a:1")
    bench.serve()
    bench.ws.wait(bench.ws.runs(oldest_first=True)[:1], until=("running",), timeout=30)

    usage = bench.ws.usage()

    assert (usage.project, usage.quota, usage.runs) == (
        "default",
        Quota(cpu=4000, running=1),
        {"running": 1, "waiting": 2},
    )
    assert (usage.now.cpu, usage.now.memory, usage.now.gpu, usage.now.running) == (500, 64 * 2**20, 0, 1)
    assert usage.now.storage == usage.storage


def test_what_runs_took_is_told_by_who_caused_them(bench: Bench) -> None:
    hana, jiro = (bench.ws.acting(user=user, project="default") for user in ("hana", "jiro"))
    hana.apply(bench.text("true", outputs={"/out": ["b:1"]}))
    hana.apply(bench.text("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done", inputs={"/in/data": ["b:1"]}))
    jiro.push(bench.lab.files("photos", {"a": b"a"}), ["a:1"])
    bench.serve()
    bench.drain()

    users = bench.ws.usage().users

    # The second run came of what the first had made, so it is of who applied its plan.
    assert [(user.user, user.runs) for user in users] == [("hana", 1), ("jiro", 1)]
    assert users[0].cpu_seconds > 0
    assert users[0].memory_byte_seconds > 0
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert bench.ws.usage(since=tomorrow).users == ()
    assert bench.ws.usage(until=tomorrow).users == users


def test_of_a_project_that_is_not_there_no_usage_is_told(bench: Bench) -> None:
    with pytest.raises(UnknownId, match="there is no project lab-9"):
        bench.ws.usage("lab-9")
