"""The fifteen behaviours by which people know a Knitfab, by number, over the launchers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import raykqi
from raykqi.domain.run import Exit
from raykqi.errors import Conflict, InUse, InvalidInput, InvalidTag, PlanCycle, PlanExists, RaykqiError, UnknownId
from tests.integration.runs.bench import Bench


def test_01_a_chain_runs_by_itself(bench: Bench) -> None:
    bench.plan("cp {inputs.data}/file {outputs.out}/file", outputs={"/out": ["b:1"]})
    second = bench.plan("cat {inputs.mid}/file", inputs={"/mid": ["b:1"]})
    bench.serve()

    pushed = bench.push("a:1")
    bench.drain()

    (made,) = bench.ws.find("b:1")
    (run,) = bench.ws.runs(plan=second)
    assert [(given.name, given.data) for given in run.inputs] == [("mid", made.id)]
    assert run.status == "done"
    assert b"".join(bench.ws.logs(run)) == b"1"
    assert bench.ws.path(pushed, run.id).data != ()
    bench.check()


def test_02_all_tags_of_an_input_must_be_there_and_others_do_not_matter(plain_bench: Bench) -> None:
    bench = plain_bench
    bench.plan(inputs={"/in": ["x:1", "y:2"]})

    both = bench.push("z:3", "y:2", "x:1")
    bench.push("x:1")
    bench.push("x:2", "y:2")

    assert [run.inputs[0].data for run in bench.ws.runs()] == [both.id]


@pytest.mark.parametrize("applied_after", [0, 3, 5])
def test_03_every_combination_runs_once_in_any_order_of_arrival(plain_bench: Bench, applied_after: int) -> None:
    bench = plain_bench
    tags = ["l:1", "m:1", "m:1", "l:1", "m:1"]
    plan_text = bench.text(inputs={"/in/1": ["l:1"], "/in/10": ["m:1"]})

    for number, tag in enumerate(tags):
        if number == applied_after:
            bench.ws.apply(plan_text)
        bench.push(tag)
    if applied_after == 5:
        bench.ws.apply(plan_text)

    pairs = [tuple(given.data for given in run.inputs) for run in bench.ws.runs()]
    assert len(pairs) == 6
    assert len(set(pairs)) == 6


def test_04_retagging_never_repeats_a_run(bench: Bench) -> None:
    bench.plan()
    bench.serve()
    data = bench.push("a:1")
    bench.drain()

    bench.ws.tag(data, remove=["a:1"])
    bench.ws.tag(data, add=["a:1"])
    bench.drain()

    assert bench.only_run().status == "done"


def test_05_a_tag_that_comes_makes_a_run_and_one_that_goes_takes_none_back(bench: Bench) -> None:
    bench.plan(inputs={"/in": ["a:1", "use:yes"]})
    data = bench.push("a:1")
    assert bench.ws.runs() == []

    bench.ws.tag(data, add=["use:yes"])
    bench.ws.tag(data, remove=["use:yes"])
    bench.serve()
    bench.drain()

    run = bench.only_run()
    assert run.status == "done"
    assert run.cause is not None
    assert (run.cause.kind, run.cause.by, run.cause.tags) == ("tags", "tester", (raykqi.Tag("use", "yes"),))


def test_06_an_inactive_plan_keeps_its_runs_until_it_is_switched_on(bench: Bench) -> None:
    plan = bench.plan("sleep 60", outputs={"/out": ["b:1"]}, more="active: false\nlimits: {running: 1}")
    bench.serve()
    bench.push("a:1")
    bench.push("a:1")
    bench.drain()
    runs = bench.ws.runs(oldest_first=True)
    assert [run.status for run in runs] == ["deactivated", "deactivated"]
    assert all(len(run.outputs) == 1 for run in runs)

    bench.ws.activate(plan)
    bench.until(runs[0], "running")
    bench.ws.deactivate(plan)

    assert [bench.ws.run(run).status for run in runs] == ["running", "deactivated"]
    bench.ws.stop(runs[0])
    assert bench.until(runs[0], "done").exit == Exit(0, "stopped by user")
    assert bench.ws.run(runs[1]).status == "deactivated"


def test_07_only_what_is_done_feeds_others(bench: Bench) -> None:
    bench.plan("echo so far; echo kept > {outputs.out}/kept; exit 7", outputs={"/out": ["b:1"]}, log=["type:log"])
    after = bench.plan(inputs={"/in": ["b:1"]})
    bench.plan(inputs={"/in": ["type:log"]})
    bench.serve()
    bench.push("a:1")
    bench.drain()

    run = bench.only_run()
    assert run.status == "failed"
    assert run.exit is not None
    assert run.exit.code == 7
    failed = bench.ws.find("raykqi#transient:failed")
    assert {data.upstream.output for data in failed} == {"out", "(log)"}
    assert all(data.timestamp for data in failed)
    assert [entry.path for entry in bench.ws.ls(bench.output(run, "out"))] == ["kept"]
    assert b"".join(bench.ws.cat(run.log, "log")) == b"so far\n"
    assert bench.ws.runs(plan=after) == []


def test_08_outputs_can_be_found_before_they_are_made(plain_bench: Bench) -> None:
    bench = plain_bench
    bench.plan(outputs={"/out": ["b:1"]})
    bench.push("a:1")

    (data,) = bench.ws.find("b:1", "raykqi#transient:processing")

    assert data.timestamp is None
    assert bench.ws.matches(data) == []
    with pytest.raises(RaykqiError, match="not made yet"):
        bench.ws.ls(data)


def test_09_what_is_stopped_feeds_others_unless_it_shall_fail(bench: Bench) -> None:
    bench.plan("echo part > {outputs.out}/part; echo written; sleep 60", outputs={"/out": ["b:1"]})
    after = bench.plan(inputs={"/in": ["b:1"]})
    bench.serve()
    bench.push("a:1")
    first = bench.until(bench.only_run(), "running")
    assert next(bench.ws.logs(first, follow=True)) == b"written\n"

    bench.ws.stop(first)
    assert bench.until(first, "done").exit == Exit(0, "stopped by user")
    bench.drain()
    assert [run.status for run in bench.ws.runs(plan=after)] == ["done"]

    bench.push("a:1")
    second = bench.until(bench.ws.runs(limit=1)[0], "running")
    bench.ws.stop(second, fail=True)
    assert bench.until(second, "failed").exit == Exit(253, "aborted by user")
    bench.drain()
    assert len(bench.ws.runs(plan=after)) == 1
    with pytest.raises(Conflict, match="it is failed"):
        bench.ws.stop(second)


def test_09_what_has_not_begun_can_only_be_given_up(plain_bench: Bench) -> None:
    bench = plain_bench
    bench.plan()
    bench.push("a:1")
    run = bench.only_run()

    with pytest.raises(Conflict, match="has not begun: it is waiting"):
        bench.ws.stop(run)
    (stopped,) = bench.ws.stop(run, fail=True)

    assert (stopped.status, stopped.exit) == ("failed", Exit(253, "aborted by user"))


def test_10_a_retry_makes_new_data_of_the_same_inputs(bench: Bench) -> None:
    bench.plan("test -e {inputs.data}/file", outputs={"/out": ["b:1"]})
    bench.serve()
    data = bench.push("a:1", content={"other": b""})
    bench.drain()
    run = bench.only_run()
    before = run.outputs[0].data
    assert run.status == "failed"

    (again,) = bench.ws.retry(run)

    assert (again.status, again.exit) == ("waiting", None)
    assert [given.data for given in again.inputs] == [data.id]
    assert again.outputs[0].data != before
    assert before not in [found.id for found in bench.ws.find()]
    with pytest.raises(Conflict, match="upload"):
        bench.ws.retry(data.upstream.run)
    bench.drain()
    bench.check()


def test_10_what_others_took_is_not_made_again(bench: Bench) -> None:
    first = bench.plan(outputs={"/out": ["b:1"]})
    bench.plan(inputs={"/in": ["b:1"]})
    bench.serve()
    bench.push("a:1")
    bench.drain()

    with pytest.raises(InUse, match="took what it made"):
        bench.ws.retry(bench.ws.runs(plan=first))


def test_10_a_run_of_an_inactive_plan_is_not_started_by_a_retry(bench: Bench) -> None:
    plan = bench.plan("exit 1")
    bench.serve()
    bench.push("a:1")
    bench.drain()
    bench.ws.deactivate(plan)

    (run,) = bench.ws.retry(bench.only_run())

    assert run.status == "deactivated"


def test_11_what_was_removed_never_comes_again(bench: Bench) -> None:
    first = bench.plan(outputs={"/out": ["b:1"]})
    second = bench.plan(inputs={"/in": ["b:1"]})
    bench.serve()
    data = bench.push("a:1")
    with pytest.raises(InUse):
        bench.ws.remove_runs(bench.ws.runs(plan=first))
    bench.drain()
    (run,) = bench.ws.runs(plan=first)
    with pytest.raises(InUse, match="took what it made"):
        bench.ws.remove_runs(run)

    bench.ws.remove_runs([run, *bench.ws.runs(plan=second)], "by mistake")

    assert list(bench.opened.parts.store.list("logs/")) == []
    assert bench.ws.find("b:1") == []
    assert bench.ws.runs() == []
    bench.ws.tag(data, remove=["a:1"])
    bench.ws.tag(data, add=["a:1"])
    assert bench.ws.runs() == []
    with pytest.raises(UnknownId):
        bench.ws.remove_runs(run)
    bench.ws.remove_runs(data.upstream.run)
    assert bench.ws.find() == []
    bench.check()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("command: x\ninputs: []", "input"),
        ("command: x\ninputs: [{path: /in, tags: []}]", "tag"),
        ("command: x\ninputs: [{path: in, tags: [a:1]}]", "absolute"),
        ("command: x\ninputs: [{path: /in, tags: [a:1]}, {path: /in/b, tags: [b:1]}]", "/in/b"),
        (
            "command: x\ninputs: [{path: /in, tags: [a:1]}]\noutputs: [{path: /o, tags: ['knit#id:x']}]",
            "only the system",
        ),
        ("command: x\ninputs: [{path: /in, tags: ['knit#transient:failed']}]", "transient"),
    ],
)
def test_12_what_breaks_a_rule_is_refused(plain_bench: Bench, text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(said)):
        plain_bench.ws.apply(text + "\n")
    assert plain_bench.ws.plans() == []


def test_12_the_same_definition_twice_and_a_cycle_are_refused(plain_bench: Bench) -> None:
    bench = plain_bench
    first = bench.plan(outputs={"/out": ["b:1", "c:1"]})

    with pytest.raises(PlanExists, match=first.id):
        bench.plan(outputs={"/out": ["c:1", "b:1"]}, more="resources: {cpu: 2}\nactive: false\nannotations: [x=y]")
    with pytest.raises(PlanCycle):
        bench.plan(inputs={"/in": ["b:1"]}, outputs={"/out": ["a:1"]})
    with pytest.raises(PlanCycle):
        bench.plan(inputs={"/in": ["s:1"]}, outputs={"/out": ["s:1", "t:1"]})
    with pytest.raises(PlanCycle):
        bench.plan(inputs={"/in": ["s:1"]}, log=["s:1"])

    assert [plan.id for plan in bench.ws.plans()] == [first.id]


def test_13_system_tags_name_one_data_or_one_moment(plain_bench: Bench) -> None:
    bench = plain_bench
    one, other = bench.push("a:1"), bench.push("a:1")
    assert one.timestamp
    stamp = one.timestamp.isoformat(timespec="milliseconds")

    by_id = bench.plan(inputs={"/in": [f"knit#id:{one.id}"]})
    by_both = bench.plan(inputs={"/in": [f"raykqi#id:{one.id}", "a:1"]}, outputs={"/o": []})
    by_time = bench.plan(inputs={"/in": [f"knit#timestamp:{stamp}"]})

    for plan in (by_id, by_both, by_time):
        assert [run.inputs[0].data for run in bench.ws.runs(plan=plan)] == [one.id]
    with pytest.raises(InvalidTag):
        bench.ws.tag(other, add=[f"knit#id:{one.id}"])
    with pytest.raises(InvalidTag):
        bench.ws.tag(other, remove=["knit#timestamp:2026-01-01"])


def test_14_a_round_trip_keeps_everything_and_lineage_reaches_the_roots(bench: Bench, tmp_path: Path) -> None:
    bench.plan("cp -a {inputs.data}/. {outputs.out}; echo said", outputs={"/out": ["b:1"]}, log=["type:log"])
    bench.plan("cat {inputs.b}/file {inputs.b2}/file", inputs={"/b": ["b:1"], "/b2": ["b:1"]})
    bench.serve()
    folder = bench.lab.files("mixed", {"file": b"\x00\xff", "sub/x.sh": b"#!/bin/sh\n"})
    (folder / "sub/x.sh").chmod(0o755)
    (folder / "link").symlink_to("sub/x.sh")
    (folder / "empty").mkdir()
    pushed = bench.ws.push(folder, ["a:1"])
    bench.drain()

    (made,) = bench.ws.find("b:1")
    bench.ws.pull(made, tmp_path / "out")

    assert (tmp_path / "out/file").read_bytes() == b"\x00\xff"
    assert (tmp_path / "out/sub/x.sh").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "out/link").readlink() == Path("sub/x.sh")
    assert (tmp_path / "out/empty").is_dir()
    assert made.tree.hash == pushed.tree.hash
    whole = bench.ws.lineage(made)
    names = sorted((edge.kind, edge.name) for edge in whole.edges)
    assert names == [("input", "b"), ("input", "b2"), ("input", "data"), ("output", "/upload"), ("output", "out")]
    log = bench.ws.lineage(bench.ws.find("type:log")[0], way="up")
    assert ("output", "(log)") in [(edge.kind, edge.name) for edge in log.edges]
    assert pushed.id in {node.id for node in log.data}
