"""Commands that arrive together are decided in one batch: nothing may come of that but what each would do alone."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from raykqi.domain.events import Event
from raykqi.domain.order import Attempt, Ended, Stored
from raykqi.domain.run import Exit, Run
from raykqi.domain.tags import Tag
from raykqi.engine.commands import ChangeTags, Command, Purge
from raykqi.engine.run_commands import ChangePlan, EndRun, LoseRuns, RetryRuns, StartRuns, StopRuns
from raykqi.errors import InUse, RaykqiError
from raykqi.storage.push import push_bytes
from tests.integration.runs.bench import Bench


def together(bench: Bench, *commands: Command) -> list[Future[list[Event]]]:
    """Submit them while the committing thread is held up, so that it finds them all at once."""
    parts = bench.opened.parts
    with parts.keeper.writing:
        held_up = parts.controller.submit_later(LoseRuns("tester", (), "nothing"))
        while parts.controller._jobs.qsize():  # until it has taken that one
            pass
        answers = [parts.controller.submit_later(command) for command in commands]
    for answer in (held_up, *answers):
        answer.exception(timeout=20)
    return answers


def begun(bench: Bench) -> Run:
    run = bench.only_run()
    bench.opened.parts.controller.submit(StartRuns("tester", (run.id,), "here"))
    return run


def ended(bench: Bench, run: Run) -> EndRun:
    tree = push_bytes(bench.opened.parts.store, {"made": b"by a run"}).tree
    return EndRun("tester", Ended(Attempt(run.id, 1), Exit(0), tuple(Stored(out.data, tree) for out in run.outputs)))


@pytest.mark.parametrize("more", [{}, {"/in/other": ["z:1"]}])
def test_p4_an_output_that_is_tagged_as_it_comes_is_taken_once(plain_bench: Bench, more: dict[str, list[str]]) -> None:
    bench = plain_bench
    bench.plan(outputs={"/out": ["b:1"]})
    after = bench.plan(inputs={"/in/b": ["b:1"], **more})
    bench.push("z:1")
    bench.push("a:1")
    run = begun(bench)

    together(bench, ended(bench, run), ChangeTags("tester", (run.outputs[0].data,), add=(Tag("k", "v"),)))

    assert len(bench.ws.runs(plan=after)) == 1
    bench.check()


def test_a_run_that_was_given_up_does_not_come_back_with_its_plan_switched_off(plain_bench: Bench) -> None:
    bench = plain_bench
    plan = bench.plan()
    bench.push("a:1")
    run = bench.only_run()

    together(bench, StopRuns("tester", (run.id,), fail=True), ChangePlan("tester", plan.id, active=False))

    assert bench.ws.run(run).status == "failed"
    bench.check()


def test_a_run_that_was_started_goes_on_when_its_plan_is_switched_off(plain_bench: Bench) -> None:
    bench = plain_bench
    plan = bench.plan()
    bench.push("a:1")
    run = bench.only_run()

    together(bench, StartRuns("tester", (run.id,), "here"), ChangePlan("tester", plan.id, active=False))

    assert (bench.ws.run(run).status, bench.ws.run(run).attempt) == ("starting", 1)


def test_off_and_on_leaves_no_run_behind(plain_bench: Bench) -> None:
    bench = plain_bench
    plan = bench.plan()
    bench.push("a:1")

    together(bench, ChangePlan("tester", plan.id, active=False), ChangePlan("tester", plan.id, active=True))

    assert bench.only_run().status == "waiting"


def test_a_retry_is_switched_off_with_its_plan(plain_bench: Bench) -> None:
    bench = plain_bench
    plan = bench.plan()
    bench.push("a:1")
    run = bench.only_run()
    bench.ws.stop(run, fail=True)

    together(bench, RetryRuns("tester", (run.id,)), ChangePlan("tester", plan.id, active=False))

    assert bench.ws.run(run).status == "deactivated"


def test_data_that_a_retry_needs_is_not_purged(plain_bench: Bench) -> None:
    bench = plain_bench
    bench.plan()
    data = bench.push("a:1")
    run = bench.only_run()
    bench.ws.stop(run, fail=True)

    retried, purged = together(bench, RetryRuns("tester", (run.id,)), Purge("tester", (data.id,), "no room"))

    assert retried.exception() is None
    assert isinstance(purged.exception(), InUse)
    assert isinstance(purged.exception(), RaykqiError)


def test_limits_that_are_changed_at_once_are_both_kept(plain_bench: Bench) -> None:
    bench = plain_bench
    plan = bench.plan()

    together(bench, ChangePlan("tester", plan.id, running=3), ChangePlan("tester", plan.id, pending=7))

    limits = bench.ws.plan(plan).settings.limits
    assert (limits.running, limits.pending) == (3, 7)
