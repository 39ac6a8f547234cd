"""What happens to runs when the controller dies, comes back, or a result comes too late."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import product

import pytest

from raykqi.catalog.queue import orders_of
from raykqi.domain.order import Attempt, Ended
from raykqi.domain.run import Run
from raykqi.engine.run_commands import EndRun, LoseRun, StartRuns
from raykqi.errors import StaleAttempt, WorkspaceOwned
from raykqi.execution.supervisor import Supervisor
from raykqi.importers.loading import load_functions
from tests.integration.processes import Child
from tests.integration.runs.bench import Bench
from tests.integration.runs.leftovers import processes_of_runs
from tests.integration.runs.serving import serve_until_killed

LINGER = b"""
import time, raykqi
from pathlib import Path

@raykqi.plan(inputs={"data": ["a:1"]}, outputs={"out": ["b:1"]})
def linger(data: Path, out: Path) -> None:
    time.sleep(1.5)
"""


@pytest.mark.parametrize("seed", [1, 2])
def test_p4_each_assignment_runs_once_whatever_happens_in_between(plain_bench: Bench, seed: int) -> None:
    bench, chance = plain_bench, random.Random(seed)
    bench.plan(
        "cat {inputs.l}/file {inputs.m}/file {inputs.n}/file > {outputs.out}/all",
        inputs={"/in/l": ["l:1"], "/in/m": ["m:1"], "/in/n": ["n:1"]},
        outputs={"/out": ["out:1"]},
    )
    arriving = ["l:1"] * 3 + ["m:1"] * 4 + ["n:1"] * 5
    chance.shuffle(arriving)
    pushed: dict[str, list[str]] = {"l:1": [], "m:1": [], "n:1": []}
    child = _server(bench)
    for tag in arriving:
        data = bench.push(tag)
        pushed[tag].append(data.id)
        for _ in range(chance.randrange(3)):
            other = chance.choice(list(pushed))
            if pushed[other]:
                chosen = chance.choice(pushed[other])
                bench.ws.tag(chosen, remove=[other])
                bench.ws.tag(chosen, add=[other])
        if chance.random() < 0.3:
            child.kill()
            child = _server(bench)
    child.kill()

    bench.serve()
    bench.drain()

    runs = bench.ws.runs()
    taken = [tuple(given.data for given in run.inputs) for run in runs]
    assert sorted(taken) == sorted(product(*pushed.values()))
    assert {run.status for run in runs} == {"done"}
    assert len(bench.ws.find("out:1")) == 60
    assert processes_of_runs({run.id for run in runs}) == {}
    bench.check()


def test_a_run_whose_server_was_killed_begins_again(bench: Bench) -> None:
    bench.plan("echo attempt $RAYKQI_ATTEMPT; test $RAYKQI_ATTEMPT -gt 1 || (setsid sleep 300 & wait)")
    child = _server(bench)
    bench.push("a:1")
    run = bench.until(bench.only_run(), "running")
    assert next(bench.ws.logs(run, follow=True)) == b"attempt 1\n"

    child.kill()
    bench.serve()
    bench.drain()

    again = bench.ws.run(run)
    assert (again.status, again.attempt) == ("done", 2)
    assert b"".join(bench.ws.logs(again)) == b"attempt 2\n"
    assert b"".join(bench.ws.logs(again, attempt=1)) == b"attempt 1\n"
    assert processes_of_runs({run.id}) == {}


def test_a_result_that_was_left_while_nobody_was_there_is_taken(bench: Bench) -> None:
    bench.plan("echo made > {outputs.out}/made", outputs={"/out": ["b:1"]})
    bench.push("a:1")
    ended = _carry_out(bench, bench.only_run())
    bench.restart()

    bench.serve()
    bench.drain()

    run = bench.only_run()
    assert (run.status, run.attempt) == ("done", ended.attempt.number)
    bench.stop_serving()
    assert list(bench.opened.parts.store.list("receipts/")) == []
    assert [entry.path for entry in bench.ws.ls(bench.output(run, "out"))] == ["made"]


def test_a_function_that_took_long_leaves_no_receipt(plain_bench: Bench) -> None:
    bench = plain_bench
    bench.ws.apply(*load_functions(bench.lab.files("function", {"linger.py": LINGER}) / "linger.py"))
    bench.push("a:1")

    bench.serve()
    bench.drain()

    assert bench.only_run().status == "done"
    bench.stop_serving()
    assert list(bench.opened.parts.store.list("receipts/")) == []


def test_p4_the_result_of_an_attempt_that_was_given_up_is_refused(bench: Bench) -> None:
    bench.plan("echo $RAYKQI_ATTEMPT > {outputs.out}/attempt", outputs={"/out": ["b:1"]}, more="retries: 1\nbackoff: 0")
    bench.push("a:1")
    late = _carry_out(bench, bench.only_run())
    controller = bench.opened.parts.controller
    controller.submit(LoseRun("tester", late.attempt, "its node was cut off"))
    bench.serve()
    bench.drain()

    with pytest.raises(StaleAttempt, match="comes too late: the run is done in attempt 2"):
        controller.submit(EndRun("tester", late))

    run = bench.only_run()
    assert b"".join(bench.ws.cat(bench.output(run, "out"), "attempt")) == b"2\n"
    assert len(bench.ws.find("b:1")) == 1
    bench.check()


def test_one_process_at_a_time_runs_the_plans_of_a_workspace(plain_bench: Bench) -> None:
    bench = plain_bench
    child = _server(bench)
    bench.lab.settings = replace(bench.lab.settings, lock_timeout=0.1)
    bench.restart()

    with pytest.raises(WorkspaceOwned, match="are being run already"):
        bench.serve()

    child.kill()
    bench.serve()


def test_data_that_another_process_pushes_is_run_at_once(bench: Bench) -> None:
    bench.plan("echo there")
    child = _server(bench)

    bench.push("a:1")

    assert bench.until(bench.only_run(), "done").status == "done"
    child.kill()


def _server(bench: Bench) -> Child:
    child = Child(serve_until_killed, bench.lab.url, bench.lab.settings, bench.lab.folder / "runs")
    assert child.next() == "serving"
    return child


def _carry_out(bench: Bench, run: Run) -> Ended:
    """Run it as a node would whose controller has gone meanwhile."""
    parts = bench.opened.parts
    parts.controller.submit(StartRuns("tester", (run.id,), "gone"))
    (order,) = orders_of(parts.keeper.index, [run.id], parts.store.url, parts.keeper.position.generation)
    folder = bench.lab.folder / "away"
    ended = Supervisor(order, bench.lab.settings, folder=folder, report=lambda _: None).run()
    assert ended.exit.code == 0, ended.exit
    assert ended.attempt == Attempt(run.id, 1)
    return ended
