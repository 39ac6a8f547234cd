"""Lifecycle hooks: who is asked before each step of a run and told after it (knitfab §7, §14.15)."""

from __future__ import annotations

import json
import threading
from contextlib import AbstractContextManager

import pytest

from raykqi.domain.hooks import Hooks
from raykqi.domain.run import Run
from raykqi.domain.run_record import run_record
from raykqi.importers.loading import load_functions
from tests.integration.runs.bench import Bench
from tests.integration.runs.listening import Listener, Reply, Request, listening

SAY_LICENCE = b"""
import os, raykqi
from pathlib import Path

@raykqi.plan(inputs={"data": ["a:1"]}, outputs={"out": ["b:1"]})
def say_licence(data: Path, out: Path) -> None:
    (out / "licence").write_text(os.environ["LICENCE"])
"""
STEPS = ["waiting", "ready", "starting", "running", "completing"]


def test_each_step_is_asked_before_and_told_after_in_order(bench: Bench) -> None:
    with listening() as hook:
        bench.plan("true", outputs={"/out": ["b:1"]})
        data = bench.push("a:1")
        bench.serve(hooks=Hooks(before=(hook.url("/first"), hook.url("/second")), after=(hook.url("/after"),)))
        bench.drain()
        bench.stop_serving()

    run = bench.only_run()
    assert run.status == "done"
    asked = [request for request in hook.requests if request.path != "/after"]
    assert [(each.path, each.body["status"]) for each in asked] == [
        (path, status) for status in STEPS for path in ("/first", "/second")
    ]
    assert hook.statuses("/after") == ["ready", "starting", "running", "completing", "done"]
    first = asked[0]
    assert first.headers["Content-Type"] == "application/json"
    assert (first.body["id"], first.body["plan"], first.body["attempt"]) == (run.id, run.plan, 0)
    assert set(first.body) == {*run_record(run), "doing"}
    assert first.body["inputs"] == [{"name": "data", "data": data.id, "path": "/in/data"}]
    bench.check()


def test_a_run_that_fails_passes_through_aborting(bench: Bench) -> None:
    with listening() as hook:
        bench.plan("exit 3")
        bench.push("a:1")
        bench.serve(hooks=Hooks(before=(hook.url("/before"),), after=(hook.url("/after"),)))
        bench.drain()
        bench.stop_serving()

    run = bench.only_run()
    assert (run.status, run.exit and run.exit.code) == ("failed", 3)
    assert hook.statuses("/before") == ["waiting", "ready", "starting", "running", "aborting"]
    assert hook.statuses("/after") == ["ready", "starting", "running", "aborting", "failed"]


def test_a_retry_by_itself_is_no_step_to_ask_about(plain_bench: Bench) -> None:
    bench = plain_bench
    with listening() as hook:
        bench.plan("test $RAYKQI_ATTEMPT -gt 1", more="retries: 1\nbackoff: 0")
        bench.push("a:1")
        bench.serve(hooks=Hooks(before=(hook.url(),)))
        bench.drain()

    assert bench.only_run().status == "done"
    assert hook.statuses() == ["waiting", "ready", "starting", *STEPS]


@pytest.mark.parametrize("step", STEPS)
def test_a_hook_that_refuses_holds_that_step_until_it_agrees(plain_bench: Bench, step: str) -> None:
    bench, agrees = plain_bench, threading.Event()

    def answer(request: Request) -> Reply:
        if request.body["status"] == step and not agrees.is_set():
            return Reply(503, b"the licence\nserver is away")
        return Reply()

    with listening(answer=answer) as hook:
        bench.plan("true")
        bench.push("a:1")
        server = bench.serve(hooks=Hooks(before=(hook.url("/hook?token=hidden"),)))
        refused = hook.until(lambda came: [each.body["status"] for each in came].count(step) == 2)

        held = bench.only_run()
        assert held.status == step
        assert f"hook {hook.url('/hook')} answered 503: the licence server is away" in held.reason
        assert not server.drain(0)
        agrees.set()
        bench.drain()

    assert [each.body["status"] for each in refused] == [*STEPS[: STEPS.index(step) + 1], step]
    assert (bench.only_run().status, bench.only_run().reason) == ("done", "")
    bench.check()


def test_other_runs_go_on_while_one_is_held(plain_bench: Bench) -> None:
    """With room for one at a time: what is held, at whichever step, takes no place."""
    bench, agrees = plain_bench, threading.Event()
    held_at = dict(zip((bench.push(f"{letter}:1").id for letter in "vwxyz"), STEPS, strict=True))

    def answer(request: Request) -> Reply:
        (given,) = request.body["inputs"]
        is_held = held_at.get(given["data"]) == request.body["status"] and not agrees.is_set()
        return Reply(409 if is_held else 204)

    with listening(answer=answer) as hook:
        for letter in "vwxyz":
            bench.plan(f"echo {letter}", inputs={"/in/data": [f"{letter}:1"]}, more="resources: {cpu: 4, memory: 64Mi}")
        bench.plan("echo others", more="resources: {cpu: 4, memory: 64Mi}")
        bench.serve(cpus=8, hooks=Hooks(before=(hook.url(),)))
        hook.until(
            lambda came: {(each.body["inputs"][0]["data"], each.body["status"]) for each in came} >= {*held_at.items()}
        )
        bench.push("a:1")
        other = next(run for run in bench.ws.runs() if run.inputs[0].data not in held_at)
        assert bench.until(other, "done").status == "done"
        assert {run.inputs[0].data: run.status for run in bench.ws.runs() if run.id != other.id} == held_at
        agrees.set()
        bench.drain()

    assert {run.status for run in bench.ws.runs()} == {"done"}
    bench.check()


def test_the_limit_of_a_plan_counts_runs_that_are_asked_about(plain_bench: Bench) -> None:
    bench = plain_bench
    with listening() as hook:
        bench.plan("true", more="limits: {running: 1}")
        for _ in range(3):
            bench.push("a:1")
        bench.serve(hooks=Hooks(before=(hook.url(),)))
        bench.drain()

    assert [run.status for run in bench.ws.runs()] == ["done"] * 3
    order = [request.body["id"] for request in hook.requests]
    assert order == sorted(order)


@pytest.mark.parametrize("extension", ["raykqiExtension", "knitfabExtension"])
def test_variables_that_hooks_answer_are_in_the_environment(bench: Bench, extension: str) -> None:
    def answer(request: Request) -> Reply:
        env = {"/1": {"LICENCE": "abc", "PLACE": "first"}, "/2": {"PLACE": "second"}}[request.path]
        return Reply(200, json.dumps({extension: {"env": env}}).encode(), "application/json")

    with listening(answer=answer) as hook:
        bench.plan("echo $LICENCE $PLACE")
        bench.push("a:1")
        bench.serve(hooks=Hooks(before=(hook.url("/1"), hook.url("/2"))))
        bench.drain()

    assert b"".join(bench.ws.logs(bench.only_run())) == b"abc second\n"


def test_functions_see_what_hooks_add_too(plain_bench: Bench) -> None:
    bench = plain_bench
    body = b'{"raykqiExtension": {"env": {"LICENCE": "abc"}}}'
    with listening(answer=lambda _: Reply(200, body, "application/json")) as hook:
        file = bench.lab.files("function", {"say_licence.py": SAY_LICENCE}) / "say_licence.py"
        bench.ws.apply(*load_functions(file))
        bench.push("a:1")
        bench.serve(hooks=Hooks(before=(hook.url(),)))
        bench.drain()

    assert b"".join(bench.ws.cat(bench.output(bench.only_run(), "out"), "licence")) == b"abc"
    assert hook.statuses() == STEPS


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "text/plain"])
def test_an_answer_of_another_content_type_adds_nothing(plain_bench: Bench, kind: str) -> None:
    bench = plain_bench
    body = b'{"raykqiExtension": {"env": {"LICENCE": "abc"}}}'
    with listening(answer=lambda _: Reply(200, body, kind)) as hook:
        bench.plan("echo got $LICENCE.")
        bench.push("a:1")
        bench.serve(hooks=Hooks(before=(hook.url(),)))
        bench.drain()

    assert b"".join(bench.ws.logs(bench.only_run())) == b"got .\n"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{not json", "answered JSON that cannot be read"),
        (b'{"raykqiExtension": {"env": {"N": 1}}}', "answered JSON that cannot be read"),
        (b'{"raykqiExtension": {"env": {"RAY_ADDRESS": "x"}}}', "may not set 'RAY_ADDRESS'"),
        (b'{"knitfabExtension": {"env": {"raykqi_run": "x"}}}', "may not set 'raykqi_run'"),
        (b'{"raykqiExtension": {"env": {"A=B": "x"}}}', "answered 'A=B', which cannot be a variable"),
    ],
)
def test_an_answer_that_cannot_be_used_holds_the_run(plain_bench: Bench, body: bytes, reason: str) -> None:
    bench, is_mended = plain_bench, threading.Event()

    def answer(_: Request) -> Reply:
        return Reply(200, b"{}" if is_mended.is_set() else body, "application/json")

    with listening(answer=answer) as hook:
        bench.plan("true")
        bench.push("a:1")
        bench.serve(hooks=Hooks(before=(hook.url(),)))
        hook.until(lambda came: [each.body["status"] for each in came].count("ready") == 2)
        held = bench.only_run()
        is_mended.set()
        bench.drain()

    assert held.status == "ready"
    assert reason in held.reason
    assert bench.only_run().status == "done"


def test_what_after_hooks_answer_does_not_matter(plain_bench: Bench) -> None:
    bench = plain_bench
    with listening(answer=lambda _: Reply(500)) as hook:
        nobody = "http://127.0.0.1:9/"
        bench.plan("true")
        bench.push("a:1")
        bench.serve(hooks=Hooks(after=(nobody, hook.url())))
        bench.drain()
        bench.stop_serving()

    assert bench.only_run().status == "done"
    assert hook.statuses() == ["ready", "starting", "running", "completing", "done"]


def test_what_is_still_to_be_told_at_the_end_is_told(plain_bench: Bench) -> None:
    bench, is_done = plain_bench, threading.Event()

    def answer(_: Request) -> Reply:
        is_done.wait(30)
        return Reply()

    with listening(answer=answer) as hook:
        bench.plan("true")
        bench.push("a:1")
        bench.serve(hooks=Hooks(after=(hook.url(),)))
        bench.drain()
        is_done.set()
        bench.stop_serving()
        assert hook.statuses() == ["ready", "starting", "running", "completing", "done"]


def test_a_hook_that_does_not_answer_counts_as_refusing(plain_bench: Bench) -> None:
    bench, let_go = plain_bench, threading.Event()

    def answer(request: Request) -> Reply:
        let_go.wait(30)
        return Reply()

    with listening(answer=answer) as hook:
        bench.plan("true")
        bench.push("a:1")
        bench.serve(hooks=Hooks(before=(hook.url(),), timeout=0.2))
        hook.until(lambda came: len(came) == 2)
        assert "did not answer in 0.2 s" in bench.only_run().reason
        let_go.set()
        bench.drain()

    assert bench.only_run().status == "done"


def _refusing(step: str) -> AbstractContextManager[Listener]:
    return listening(answer=lambda request: Reply(403 if request.body["status"] == step else 200))


def _held(bench: Bench, hook: Listener, step: str) -> Run:
    """The only run, once a hook has refused this step of it twice."""
    hook.until(lambda came: [each.body["status"] for each in came].count(step) == 2)
    run = bench.only_run()
    assert run.status == step
    return run
