"""Runs that a hook holds back: stopped, given up, and left to the next server."""

from __future__ import annotations

import random
import threading
from contextlib import AbstractContextManager

import pytest

from raykqi.domain.events import RunHeld
from raykqi.domain.hooks import Hooks
from raykqi.domain.run import Run
from raykqi.journal.log import Journal
from tests.integration.processes import Child
from tests.integration.runs.bench import Bench
from tests.integration.runs.leftovers import processes_of_runs
from tests.integration.runs.listening import Listener, Reply, Request, listening
from tests.integration.runs.serving import serve_until_killed

STEPS = ["waiting", "ready", "starting", "running", "completing"]


@pytest.mark.parametrize("step", ["waiting", "ready"])
def test_a_run_that_is_given_up_while_it_is_held_ends_at_once(plain_bench: Bench, step: str) -> None:
    bench = plain_bench
    with _refusing(step) as hook:
        bench.plan("true")
        bench.push("a:1")
        bench.serve(hooks=Hooks(before=(hook.url(),)))
        run = _held(bench, hook, step)

        (stopped,) = bench.ws.stop(run, fail=True)

        assert (stopped.status, stopped.exit and stopped.exit.code) == ("failed", 253)
        bench.drain()
    bench.check()


@pytest.mark.parametrize("fail", [False, True])
def test_a_run_that_is_stopped_while_its_start_is_held_ends(bench: Bench, fail: bool) -> None:
    with _refusing("starting") as hook:
        bench.plan("sleep 300", outputs={"/out": ["b:1"]})
        bench.push("a:1")
        bench.serve(hooks=Hooks(before=(hook.url(),)))
        run = _held(bench, hook, "starting")

        bench.ws.stop(run, fail=fail)
        bench.drain()

    ended = bench.ws.run(run)
    assert (ended.status, ended.exit and ended.exit.code) == (("failed", 253) if fail else ("done", 0))
    assert processes_of_runs({run.id}) == {}
    bench.check()


@pytest.mark.parametrize("fail", [False, True])
def test_a_run_that_is_stopped_while_its_end_is_held_ends(plain_bench: Bench, fail: bool) -> None:
    bench = plain_bench
    with _refusing("running") as hook:
        bench.plan("exit 3", outputs={"/out": ["b:1"]})
        bench.push("a:1")
        bench.serve(hooks=Hooks(before=(hook.url(),)))
        run = _held(bench, hook, "running")

        bench.ws.stop(run, fail=fail)
        bench.drain()

    ended = bench.ws.run(run)
    assert (ended.status, ended.exit and ended.exit.code) == (("failed", 253) if fail else ("done", 0))
    bench.check()


def test_why_a_run_is_held_is_written_down_once(plain_bench: Bench) -> None:
    bench, agrees = plain_bench, threading.Event()

    def answer(request: Request) -> Reply:
        # Each answer says something else, as those with a time in them do.
        return Reply(200 if agrees.is_set() else 503, str(len(hook.requests)).encode())

    with listening(answer=answer) as hook:
        bench.plan("true")
        bench.push("a:1")
        bench.serve(hooks=Hooks(before=(hook.url(),)))
        hook.until(lambda came: len(came) == 3)
        agrees.set()
        bench.drain()

    entries = Journal(bench.opened.parts.store).read()
    held = [event for entry in entries for event in entry.events if isinstance(event, RunHeld)]
    assert [event.reason for event in held] == [f"hook {hook.url()} answered 503: 1"]


@pytest.mark.parametrize("step", STEPS)
def test_a_run_goes_on_when_the_server_was_killed_while_a_hook_held_it(plain_bench: Bench, step: str) -> None:
    bench = plain_bench
    with _refusing(step) as refusing:
        bench.plan("echo made > {outputs.out}/made", outputs={"/out": ["b:1"]})
        bench.push("a:1")
        hooks = Hooks(before=(refusing.url(),))
        child = Child(serve_until_killed, bench.lab.url, bench.lab.settings, bench.lab.folder / "runs", hooks)
        assert child.next() == "serving"
        run = _held(bench, refusing, step)
        child.kill()

    with listening() as agreeing:
        bench.serve(hooks=Hooks(before=(agreeing.url(),)))
        bench.drain()

    ended = bench.ws.run(run)
    assert ended.status == "done"
    assert [entry.path for entry in bench.ws.ls(bench.output(ended, "out"))] == ["made"]
    assert agreeing.statuses()[-1] == "completing"
    assert processes_of_runs({run.id}) == {}
    bench.check()


@pytest.mark.parametrize("step", STEPS)
def test_a_server_that_is_closed_while_a_hook_holds_a_run_leaves_it_to_the_next(plain_bench: Bench, step: str) -> None:
    bench = plain_bench
    with _refusing(step) as hook:
        bench.plan("true")
        bench.push("a:1")
        bench.serve(hooks=Hooks(before=(hook.url(),)))
        run = _held(bench, hook, step)
        bench.stop_serving()

    bench.serve()
    bench.drain()

    again = bench.ws.run(run)
    attempts = {"waiting": 1, "ready": 2, "starting": 2, "running": 1, "completing": 1}
    assert (again.status, again.attempt) == ("done", attempts[step])
    bench.check()


def test_each_assignment_runs_once_with_hooks_that_refuse_and_servers_that_die(plain_bench: Bench) -> None:
    bench, chance = plain_bench, random.Random(7)

    def answer(_: Request) -> Reply:
        return Reply(503 if chance.random() < 0.1 else 200)

    with listening(answer=answer) as hook:
        bench.plan("cat {inputs.data}/file > {outputs.out}/file", outputs={"/out": ["b:1"]})
        hooks = Hooks(before=(hook.url(),), after=(hook.url("/after"),))
        for _ in range(3):
            child = Child(serve_until_killed, bench.lab.url, bench.lab.settings, bench.lab.folder / "runs", hooks)
            assert child.next() == "serving"
            seen = len(hook.requests)
            for _ in range(6):
                bench.push("a:1")
            hook.until(lambda came, seen=seen: len(came) > seen + 25)  # type: ignore[misc]
            child.kill()
        bench.serve(hooks=hooks)
        bench.drain()

    runs = bench.ws.runs()
    assert [run.status for run in runs] == ["done"] * 18
    assert len({run.inputs[0].data for run in runs}) == 18
    assert len(bench.ws.find("b:1")) == 18
    assert processes_of_runs({run.id for run in runs}) == {}
    bench.check()


def _refusing(step: str) -> AbstractContextManager[Listener]:
    return listening(answer=lambda request: Reply(403 if request.body["status"] == step else 200))


def _held(bench: Bench, hook: Listener, step: str) -> Run:
    """The only run, once a hook has refused this step of it twice."""
    hook.until(lambda came: [each.body["status"] for each in came].count(step) == 2)
    run = bench.only_run()
    assert run.status == step
    return run
