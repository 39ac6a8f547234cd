"""The promises of the design that concern runs, by number."""

from __future__ import annotations

import pytest

from raykqi.domain.events import RunCreated, RunEnded
from tests.integration.runs.bench import Bench
from tests.integration.runs.leftovers import processes_of_runs


def test_p5_outputs_their_run_and_what_they_trigger_are_one_entry(bench: Bench) -> None:
    bench.plan("echo x > {outputs.out}/x", outputs={"/out": ["b:1"]}, log=["c:1"])
    bench.plan(inputs={"/in": ["b:1"]})
    bench.plan(inputs={"/in/1": ["b:1"], "/in/2": ["c:1"]})
    bench.serve()
    bench.push("a:1")
    bench.drain()

    first = bench.ws.runs(oldest_first=True)[0]
    entries = [list(entry.events) for entry in bench.opened.parts.keeper.journal.read()]
    (ending,) = [events for events in entries if any(isinstance(e, RunEnded) and e.run == first.id for e in events)]
    caused = [event for event in ending if isinstance(event, RunCreated)]
    assert len(caused) == 2
    assert {given.data for event in caused for given in event.inputs} == {output.data for output in first.outputs}


def test_p6_inputs_cannot_be_changed_and_are_what_was_pushed(bench: Bench) -> None:
    bench.plan(
        "cat {inputs.data}/file; (echo no > {inputs.data}/file) 2>/dev/null && echo written; rm -rf {inputs.data}; true"
    )
    bench.serve()
    data = bench.push("a:1", content={"file": b"as pushed"})
    bench.drain()

    assert b"".join(bench.ws.logs(bench.only_run())).startswith(b"as pushed")
    assert b"written" not in b"".join(bench.ws.logs(bench.only_run()))
    assert b"".join(bench.ws.cat(data, "file")) == b"as pushed"


def test_p6_a_damaged_input_fails_the_run_and_is_named(bench: Bench) -> None:
    bench.plan("echo never")
    data = bench.push("a:1", content={"file": b"as pushed"})
    for pack in (bench.lab.root / "packs").rglob("*"):
        if pack.is_file():
            pack.write_bytes(b"as broken")
    bench.serve()
    bench.drain()

    run = bench.only_run()
    assert run.status == "failed"
    assert run.exit is not None
    assert run.exit.code == 255
    assert "packs/" in run.exit.message
    assert b"never" not in b"".join(bench.ws.logs(run))
    assert bench.ws.show(data).status == "done"


def test_p7_what_a_retry_replaces_leaves_a_tombstone(bench: Bench) -> None:
    bench.plan("exit 1", outputs={"/out": ["b:1"]})
    bench.serve()
    bench.push("a:1")
    bench.drain()
    run = bench.only_run()

    bench.ws.retry(run)

    old = bench.ws.show(run.outputs[0].data)
    assert [(stone.kind, stone.by, stone.reason) for stone in old.tombstones] == [
        ("removed", "tester", f"run {run.id} was retried")
    ]
    assert run.id in {node.id for node in bench.ws.lineage(old).runs}


ENDS = {
    "exit 0": ("done", 0),
    "exit 3": ("failed", 3),
    "kill -9 $$": ("failed", 137),
    "kill -TERM $$; sleep 9": ("failed", 143),
    "setsid sleep 300 & exit 0": ("done", 0),
    "trap '' TERM; sleep 300": ("failed", 124),
    "/does/not/exist": ("failed", 127),
    "rm -rf {outputs.out}; exit 0": ("done", 0),
}


def test_p8_every_run_ends_and_frees_what_it_had(bench: Bench) -> None:
    for number, command in enumerate(ENDS):
        bench.plan(
            command,
            inputs={"/in": [f"n:{number}"]},
            outputs={"/out": []},
            more=f"name: '{number}'\ntimeout: 2s\ngrace: 0.2s\nresources: {{cpu: 2, memory: 64Mi}}",
        )
    server = bench.serve(cpus=4)
    for number in range(len(ENDS)):
        bench.push(f"n:{number}")
    bench.drain()

    runs = bench.ws.runs()
    ended = {run.title: (run.status, run.exit.code if run.exit else None) for run in runs}
    assert ended == {str(number): end for number, end in enumerate(ENDS.values())}
    assert server.running == 0
    assert processes_of_runs({run.id for run in runs}) == {}


@pytest.mark.parametrize("grace", ["0s", "1s"])
def test_p8_a_retry_comes_after_its_pause_and_the_last_failure_counts(bench: Bench, grace: str) -> None:
    bench.plan("exit $RAYKQI_ATTEMPT", more=f"retries: 2\nbackoff: 0.1s\ngrace: {grace}")
    bench.serve()
    bench.push("a:1")
    bench.drain()

    run = bench.only_run()
    assert (run.status, run.attempt) == ("failed", 3)
    assert run.exit is not None
    assert run.exit.code == 3


def test_a_collection_meanwhile_takes_nothing_from_a_run(bench: Bench) -> None:
    bench.plan("cp {inputs.data}/file {outputs.out}/file; echo copied; sleep 60", outputs={"/out": ["b:1"]})
    content = {"file": b"wanted again" * 1000}
    given_up = bench.push("old:1", content=content)
    bench.ws.purge(given_up, "no room")
    bench.push("a:1", content={"other": b"x", **content})
    bench.serve()
    run = bench.until(bench.only_run(), "running")
    assert next(bench.ws.logs(run, follow=True)) == b"copied\n"

    collected = bench.ws.gc(grace_seconds=0.0)
    bench.ws.stop(run)

    assert bench.until(run, "done").status == "done"
    assert collected.objects
    assert b"".join(bench.ws.cat(bench.output(run, "out"), "file")) == content["file"]
    bench.check()
