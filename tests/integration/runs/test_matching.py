"""Which runs come about: what inputs take, what has to agree, how much may wait, and why."""

from __future__ import annotations

import pytest

from raykqi.domain.plan import Plan
from raykqi.errors import Conflict
from tests.integration.runs.bench import Bench


def taken(bench: Bench, plan: Plan) -> list[dict[str, list[str]]]:
    """What sits in each input of each run of the plan, oldest first."""
    found = []
    for run in bench.ws.runs(plan=plan, oldest_first=True):
        inputs: dict[str, list[str]] = {}
        for given in run.inputs:
            inputs.setdefault(given.name, []).append(given.data)
        found.append(inputs)
    return found


def test_the_latest_data_is_taken_each_time_newer_comes(plain_bench: Bench) -> None:
    bench = plain_bench
    model = bench.push("m:1")
    text = """
command: "true"
inputs:
  - {path: /in/model, tags: ["m:1"], take: latest}
  - {path: /in/images, tags: ["i:1"]}
"""
    plan = bench.ws.apply(text)
    first, second = bench.push("i:1"), bench.push("i:1")
    newer = bench.push("m:1")
    older = bench.push("x:1")
    bench.ws.tag(model, remove=["m:1"])
    bench.ws.tag(model, add=["m:1"])
    bench.ws.tag(older, add=["i:1"])

    assert taken(bench, plan) == [
        {"model": [model.id], "images": [first.id]},
        {"model": [model.id], "images": [second.id]},
        {"model": [newer.id], "images": [first.id]},
        {"model": [newer.id], "images": [second.id]},
        {"model": [newer.id], "images": [older.id]},
    ]


def test_all_matches_together_sit_in_one_input_each_in_its_folder(bench: Bench) -> None:
    text = bench.text("ls {inputs.parts}; cat {inputs.parts}/*/file").replace(
        "path: /in/data, tags: ['a:1']", "path: /in/parts, tags: ['a:1'], take: all"
    )
    one, two = bench.push("a:1"), bench.push("a:1")
    plan = bench.ws.apply(text)
    bench.serve()
    bench.drain()

    (run,) = bench.ws.runs(plan=plan)
    assert b"".join(bench.ws.logs(run)).decode().split() == [one.id, two.id, "12"]
    three = bench.push("a:1")
    bench.drain()
    assert taken(bench, plan)[1] == {"parts": [one.id, two.id, three.id]}
    bench.check()


def test_joined_inputs_agree_on_a_tag(plain_bench: Bench) -> None:
    bench = plain_bench
    plan = bench.plan(inputs={"/in/x": ["x:1"], "/in/y": ["y:1"]}, more="join: [site]")
    tokyo_x, osaka_x = bench.push("x:1", "site:tokyo"), bench.push("x:1", "site:osaka")
    osaka_y, both_y = bench.push("y:1", "site:osaka"), bench.push("y:1", "site:osaka", "site:tokyo")
    bench.push("y:1")

    pairs = {(given["x"][0], given["y"][0]) for given in taken(bench, plan)}
    assert pairs == {(osaka_x.id, osaka_y.id), (osaka_x.id, both_y.id), (tokyo_x.id, both_y.id)}
    assert len(taken(bench, plan)) == 3


def test_join_groups_what_is_taken_together(plain_bench: Bench) -> None:
    bench = plain_bench
    plan = bench.ws.apply("""
command: "true"
join: [day]
inputs:
  - {path: /in/logs, tags: ["l:1"], take: all}
  - {path: /in/rule, tags: ["r:1"], take: latest}
""")
    monday = [bench.push("l:1", "day:mon").id for _ in range(2)]
    tuesday = bench.push("l:1", "day:tue").id
    old, new = (bench.push("r:1", "day:mon").id for _ in range(2))

    assert taken(bench, plan) == [{"logs": monday, "rule": [old]}, {"logs": monday, "rule": [new]}]
    assert tuesday not in str(taken(bench, plan))


def test_the_same_data_may_sit_in_two_inputs(bench: Bench) -> None:
    bench.plan("cat {inputs.l}/file {inputs.m}/file", inputs={"/in/l": ["a:1"], "/in/m": ["a:1"]})
    bench.serve()
    bench.push("a:1")
    bench.drain()

    run = bench.only_run()
    assert run.status == "done"
    assert b"".join(bench.ws.logs(run)) == b"11"


def test_a_backlog_is_made_piece_by_piece_and_nothing_is_dropped(bench: Bench) -> None:
    for _ in range(3):
        bench.push("l:1")
        bench.push("m:1")
    plan = bench.plan(inputs={"/in/l": ["l:1"], "/in/m": ["m:1"]}, more="limits: {pending: 4}")
    assert len(bench.ws.runs()) == 4
    assert bench.ws.plan(plan).backlog
    bench.push("l:1")
    assert len(bench.ws.runs()) == 4

    bench.serve()
    bench.drain()

    pairs = [tuple(run["l"] + run["m"]) for run in taken(bench, plan)]
    assert len(pairs) == len(set(pairs)) == 12
    assert not bench.ws.plan(plan).backlog
    bench.check()


def test_what_was_done_before_is_reused(bench: Bench) -> None:
    bench.plan("date +%N > {outputs.out}/n; sleep 0.2", outputs={"/out": ["b:1"]}, more="reuse: true")
    bench.serve()
    content = {"file": b"the same"}
    bench.push("a:1", content=content)
    bench.push("a:1", content=content)
    bench.push("a:1", content={"file": b"other"})
    bench.drain()

    runs = bench.ws.runs(oldest_first=True)
    assert [run.status for run in runs] == ["done"] * 3
    assert [run.reused_from for run in runs] == ["", runs[0].id, ""]
    trees = [bench.output(run, "out").tree.hash for run in runs]
    assert trees[0] == trees[1] != trees[2]
    assert runs[1].exit is not None
    assert runs[1].exit.message == f"reused from {runs[0].id}"
    bench.check()


def test_what_was_stopped_half_way_is_not_reused(bench: Bench) -> None:
    bench.plan(
        "echo part > {outputs.out}/part; echo written; test -e {inputs.data}/short || sleep 60",
        outputs={"/out": ["b:1"]},
        more="reuse: true\nlimits: {running: 1}",
    )
    bench.serve()
    for _ in range(2):
        bench.push("a:1", content={"file": b"the same"})
    for run in bench.ws.runs(oldest_first=True):
        bench.until(run, "running")
        assert next(bench.ws.logs(run, follow=True)) == b"written\n"
        bench.ws.stop(run)
        bench.until(run, "done")

    assert [(run.status, run.reused_from) for run in bench.ws.runs()] == [("done", ""), ("done", "")]


def test_what_is_switched_off_is_not_waited_for(plain_bench: Bench) -> None:
    bench = plain_bench
    bench.plan(more="active: false")
    bench.push("a:1")

    with pytest.raises(Conflict, match="its plan true is inactive"):
        bench.ws.wait(bench.only_run(), timeout=5)


def test_a_failed_run_is_never_reused(bench: Bench) -> None:
    bench.plan("exit 1", outputs={"/out": ["b:1"]}, more="reuse: true")
    bench.serve()
    for _ in range(2):
        bench.push("a:1", content={"file": b"the same"})
    bench.drain()

    assert [(run.status, run.reused_from) for run in bench.ws.runs()] == [("failed", ""), ("failed", "")]


def test_priority_goes_before_age(bench: Bench) -> None:
    for name, priority in (("low", 0), ("high", 5)):
        more = f"name: {name}\npriority: {priority}\nresources: {{cpu: 1, memory: 64Mi}}"
        bench.plan(f"echo {name}", inputs={"/in": [f"{name}:1"]}, more=more)
        for _ in range(2):
            bench.push(f"{name}:1")
    places = {run.title: run.place for run in bench.ws.runs() if run.place in (1, 4)}
    assert places == {"high": 1, "low": 4}
    bench.serve(cpus=1)
    bench.drain()

    started = sorted(bench.ws.runs(), key=lambda run: run.started or run.created)
    assert {run.title for run in started[:2]} == {"high"}


def test_limits_hold_runs_back_and_say_so(bench: Bench) -> None:
    plan = bench.plan("sleep 60", more="limits: {running: 1}")
    bench.serve()
    first, second = bench.push("a:1"), bench.push("a:1")
    (one,) = bench.ws.runs(input=first)
    (two,) = bench.ws.runs(input=second)
    bench.until(one, "running")

    assert bench.ws.run(two).reason == "1 of at most 1 runs of its plan are under way; number 1 in the queue"
    bench.ws.change_limits(plan, running=0)
    bench.until(two, "running")
    bench.ws.stop([one, two], fail=True)
    bench.drain()


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ("gpu: 16", "no node has 16 GPUs; none has any"),
        ("cpu: 64", "no node has 64 CPUs; largest is 4"),
        ("memory: 1Ti", "no node has 1Ti of memory; largest is 8.0 GiB"),
        ("tpu: 1", "no node has 1 of tpu; largest is 0"),
    ],
)
def test_what_no_node_can_ever_run_waits_and_says_why(plain_bench: Bench, resources: str, said: str) -> None:
    bench = plain_bench
    plan = bench.plan(more=f"resources: {{{resources}}}")
    bench.serve()
    bench.push("a:1")
    bench.drain()

    assert bench.only_run().reason == said
    assert bench.ws.plan(plan).held == said


def test_what_no_node_can_run_starts_when_less_is_asked_for(bench: Bench) -> None:
    plan = bench.plan(more="resources: {cpu: 64}")
    bench.serve()
    bench.push("a:1")
    bench.drain()

    bench.ws.change_resources(plan, {"cpu": 1})
    bench.drain()

    assert bench.only_run().status == "done"
    assert bench.ws.plan(plan).held == ""


def test_a_label_that_no_node_has_is_named(plain_bench: Bench) -> None:
    bench = plain_bench
    bench.plan(more="on_node: {must: [zone=moon]}")
    bench.serve()
    bench.push("a:1")
    bench.drain()

    assert "no node has the label zone=moon" in bench.only_run().reason


def test_an_image_waits_for_nodes_with_containers_and_says_so(plain_bench: Bench) -> None:
    bench = plain_bench
    bench.ws.apply("image: busybox:1\ninputs: [{path: /in, tags: ['a:1']}]\n")
    bench.serve()
    bench.push("a:1")
    bench.drain()

    assert "no node can run containers yet" in bench.only_run().reason


def test_why_names_what_is_missing(plain_bench: Bench) -> None:
    bench = plain_bench
    plan = bench.plan(inputs={"/in/x": ["x:1", "y:2"], "/in/z": ["z:1"]}, more="name: two")
    data = bench.push("x:1")

    assert bench.ws.why("two", data).text == "no: input x also wants y:2"
    bench.ws.tag(data, add=["y:2"])
    assert bench.ws.why(plan, data).text == "it fits x, but nothing is there for z yet"
    bench.push("z:1")
    why = bench.ws.why(plan, data)
    assert why.text == "yes, as x: it is in 1 run"
    assert why.runs == (bench.only_run().id,)


def test_a_dry_run_says_which_runs_would_come_and_changes_nothing(plain_bench: Bench) -> None:
    bench = plain_bench
    data = [bench.push("a:1"), bench.push("a:1")]

    would = bench.ws.preview_apply(bench.text())

    assert [event.inputs[0].data for event in would] == [one.id for one in data]
    assert bench.ws.plans() == []
    assert bench.ws.runs() == []
    bench.plan()
    assert len(bench.ws.runs()) == 2
    bench.check()


def test_replacing_a_plan_switches_off_the_earlier_one_of_its_name(plain_bench: Bench) -> None:
    bench = plain_bench
    first = bench.plan("echo 1", more="name: step")
    bench.push("a:1")

    second = bench.ws.apply(bench.text("echo 2", more="name: step"), replace=True)

    assert not bench.ws.plan(first.id).settings.active
    assert bench.ws.plan("step").id == second.id
    assert {run.plan: run.status for run in bench.ws.runs()} == {first.id: "deactivated", second.id: "waiting"}


def test_data_in_use_by_a_run_cannot_be_purged(plain_bench: Bench) -> None:
    bench = plain_bench
    bench.plan()
    data = bench.push("a:1")

    with pytest.raises(Conflict, match="uses it and is waiting"):
        bench.ws.purge(data, "no room")
