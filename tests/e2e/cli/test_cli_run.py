"""`raykqi run`: runs seen, followed, stopped, repeated and removed, in a workspace that is served."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.e2e.cli.conftest import CommandLine, command, environment
from tests.e2e.cli.program import Program
from tests.e2e.cli.test_cli_process import on_terminal

UNTIL_STOPPED = (
    "trap 'exit 0' TERM; echo '0.25 epoch 1 of 4' > $RAYKQI_PROGRESS; echo begun; while :; do sleep 0.1; done"
)


def apply(cli: CommandLine, name: str, script: str, **more: Any) -> str:
    """A plan that takes `takes:NAME` and makes `made-by:NAME`; its id."""
    described = {
        "name": name,
        "command": script,
        "inputs": [{"path": "/in/a", "tags": [f"takes:{name}"]}],
        "outputs": [{"path": "/out/b", "tags": [f"made-by:{name}"]}],
        "resources": {"memory": "64Mi"},
    }
    file = cli.write(f"{name}.yaml", json.dumps(described | more))
    return cli("plan", "apply", file).lines[0]


def run_of(cli: CommandLine, name: str, *tags: str) -> str:
    """Push data that the plan takes; the id of its run."""
    data = cli.push(f"data-{name}", "-t", f"takes:{name}")
    return cli("run", "find", "--input", data, "-q").lines[0]


def test_what_was_pushed_is_run_and_everything_is_known_about_it(running: CommandLine) -> None:
    plan = apply(running, "copy", "echo copied; cp {inputs.a}/data-copy {outputs.b}/there; echo to stderr >&2")
    data = running.push("data-copy", "-t", "takes:copy")
    (run,) = running("run", "find", "--plan", "copy", "-q").lines

    waited = running.process("run", "wait", run[:18])

    assert (waited.returncode, waited.stdout, waited.stderr) == (0, b"1 done.\n", b"")
    shown = running.ok("run", "show", run[:18], "--json").json
    assert (shown["status"], shown["attempt"], shown["exit"]) == ("done", 1, {"code": 0, "message": ""})
    assert shown["plan"] == plan
    assert shown["inputs"] == [{"name": "a", "data": data, "path": "/in/a"}]
    assert [each["name"] for each in shown["outputs"]] == ["b"]
    assert shown["cause"] == {"kind": "data", "by": "lena", "data": data, "tags": []}
    assert shown["usage"]["wall"] > 0
    text = running.ok("run", "show", run).text
    assert f"because  data {data} came by lena" in text
    assert running.ok("run", "logs", run).out == b"copied\nto stderr\n"
    assert running.ok("run", "files", run, "--json").json == [{"output": "b", "path": "there", "size": 20}]
    assert running.ok("data", "find", "-t", "made-by:copy", "-q").lines == [shown["outputs"][0]["data"]]
    row = running.ok("run", "find", "--plan", "copy").lines[1].split()
    assert row[1:3] == ["done", "copy"]


def test_tags_that_are_added_make_runs_and_say_so(running: CommandLine) -> None:
    apply(running, "tagged", "true")
    data = running.push("data-tagged")

    tried = running.ok("data", "tag", data, "--add", "takes:tagged", "--dry-run").lines
    assert tried == [f"{data}  +takes:tagged", f"would run tagged  a={data}"]
    assert running.ok("run", "find", "--plan", "tagged", "-q").lines == []

    running("data", "tag", data, "--add", "takes:tagged")
    (run,) = running("run", "find", "--plan", "tagged", "-q").lines
    assert f"tag takes:tagged was added to data {data} by lena" in running("run", "show", run).text
    assert running("run", "wait", "--plan", "tagged").code == 0


def test_a_failed_run_says_why_and_can_be_repeated_and_removed(running: CommandLine) -> None:
    apply(running, "broken", "echo the disk is on fire; exit 3")
    run = run_of(running, "broken")

    waited = running.process("run", "wait", run)

    assert waited.returncode == 1
    assert waited.stdout.decode().splitlines()[-1] == "1 failed."
    shown = running.ok("run", "show", run, "--json").json
    assert shown["exit"]["code"] == 3
    assert "the disk is on fire" in shown["exit"]["message"]
    assert "the disk is on fire" in running.ok("run", "find", "--status", "failed", "--plan", "broken").text

    again = running.ok("run", "retry", run, "--json").json
    assert (again[0]["id"], again[0]["status"]) == (run, "waiting")
    assert running("run", "wait", run).code == 1
    assert running.ok("run", "show", run, "--json").json["attempt"] == 2
    assert running.ok("run", "logs", "--attempt", "1", run).text == "the disk is on fire\n"

    assert running.ok("run", "rm", run, "--reason", "of no use").lines == [run]
    assert running.ok("run", "find", "--plan", "broken", "-q").lines == []
    assert running.ok("run", "find", "--plan", "broken", "--status", "invalidated", "-q").lines == [run]


@pytest.mark.parametrize(("how", "status"), [([], "done"), (["--fail"], "failed")], ids=["stop", "fail"])
def test_a_run_is_followed_while_it_runs_and_ends_when_it_is_stopped(
    running: CommandLine, how: list[str], status: str
) -> None:
    name = f"endless-{status}"
    apply(running, name, UNTIL_STOPPED)
    run = run_of(running, name)

    with Program(running.folder, "run", "logs", "-f", run) as following:
        following.until(lambda line: line == "begun")
        with Program(running.folder, "run", "wait", run, "--json") as waiting:
            top = running.ok("run", "top", "--plan", name, "--once", "--json").json
            assert top["counts"] == {"running": 1}
            assert [each["id"] for each in top["runs"]] == [run]
            stopped = running.ok("run", "stop", *how, run).lines
            assert stopped == [f"{run}  {'aborting' if how else 'completing'}"]
            assert waiting.process.wait(60) == (1 if how else 0)
        assert following.process.wait(60) == 0
    assert running.ok("run", "show", run, "--json").json["status"] == status


def test_the_page_of_what_runs_shows_progress(running: CommandLine) -> None:
    apply(running, "slow", UNTIL_STOPPED)
    run = run_of(running, "slow")
    with Program(running.folder, "run", "logs", "-f", run) as following:
        following.until(lambda line: line == "begun")

        shown = ""
        while "25%" not in shown:  # the next beat brings it
            shown = running.ok("run", "top", "--plan", "slow", "--once").text

        running("run", "stop", run)
        following.process.wait(60)
    assert shown.splitlines()[0] == "1 running"
    assert "epoch 1 of 4" in shown
    assert "███░░░░░░░░░" in shown


def test_a_log_is_passed_on_byte_for_byte(running: CommandLine) -> None:
    apply(running, "binary", r"printf '\377\000\001\033[31m\r\n\200'")
    run = run_of(running, "binary")
    running("run", "wait", run)

    assert running.process("run", "logs", run).stdout == b"\xff\x00\x01\x1b[31m\r\n\x80"


def test_what_no_node_can_run_waits_and_says_so(running: CommandLine) -> None:
    apply(running, "huge", "true", resources={"gpu": 16})
    run = run_of(running, "huge")

    with Program(running.folder, "run", "wait", run, "--timeout", "2s") as waiting:
        assert waiting.process.wait(60) == 1

    assert "no node has" in running.ok("run", "show", run, "--json").json["reason"]
    assert "held: no node has" in running.ok("plan", "find", "--name", "huge").text
    running("run", "stop", "--fail", run)


def test_up_tells_of_every_run(served: Any, running: CommandLine) -> None:
    apply(running, "told", "true")
    run = run_of(running, "told")

    last = json.loads(served.up.until(lambda line: run in line and '"done"' in line))

    assert (last["id"], last["title"], last["status"]) == (run, "told", "done")


def test_when_nobody_runs_plans_whoever_waits_is_told(cli: CommandLine) -> None:
    nobody = "nothing runs the plans of this workspace now: start `raykqi up` or `raykqi work`\n"
    apply(cli, "lonely", "true")
    run = run_of(cli, "lonely")

    assert cli("run", "find").err == nobody
    assert "number 1 in the queue" in cli("run", "find").text
    assert cli("run", "show", run).err == nobody
    late = cli("run", "wait", "--timeout", "100ms")
    assert (late.code, late.err) == (1, f"{nobody}after 0.1 s 1 of the runs had not come so far\n")
    assert cli("run", "find", "--json").err == ""


def test_conditions_find_runs_and_bad_ones_are_refused(cli: CommandLine) -> None:
    apply(cli, "one", "true")
    apply(cli, "other", "true")
    runs = [run_of(cli, name) for name in ("one", "other")]

    def found(*conditions: str) -> list[str]:
        return cli("run", "find", "-q", *conditions).lines

    assert found() == runs[::-1]
    assert found("--oldest-first") == runs
    assert found("--plan", "one", "--plan", "other", "--limit", "1") == [runs[1]]
    assert found("--status", "waiting,failed", "--plan", "one") == [runs[0]]
    assert found("--status", "done") == []
    assert found("--until", "1h") == []
    output = cli("run", "show", runs[0], "--json").json["outputs"][0]["data"]
    assert found("--output", output) == [runs[0]]

    refused = cli("run", "find", "--status", "sleeping", "--json")
    assert (refused.code, refused.error["message"]) == (2, "no run is ever 'sleeping'")
    assert cli("run", "show", "ffffffff").code == 3
    assert cli("run", "logs", runs[0]).code == 4
    assert cli("run", "retry", runs[0]).code == 4
    assert cli("run", "find", "--plan", "nothing").code == 3


@pytest.mark.parametrize("run", ["ffffffff", "01939c1c-7d1e-7b0a-9f41-0d9a6c1e2f33", "epoch-7"])
@pytest.mark.parametrize("verb", ["wait", "files", "show", "logs"])
def test_a_run_that_is_not_there_points_to_those_that_are(cli: CommandLine, verb: str, run: str) -> None:
    assert "raykqi run find" in cli("run", verb, run, "--json").error["hint"]


def test_the_log_of_a_run_that_was_removed_is_gone_and_that_is_said(cli: CommandLine) -> None:
    apply(cli, "removed", "true")
    run = run_of(cli, "removed")
    cli("run", "stop", "--fail", run)
    cli.ok("run", "rm", run)

    refused = cli("run", "logs", run, "--json")

    assert (refused.code, refused.out) == (3, b"")
    assert refused.error["message"] == f"run {run} was removed, and its logs with it"


def test_questions_about_runs_load_no_ray(cli: CommandLine) -> None:
    apply(cli, "light", "true")
    run_of(cli, "light")
    script = (
        "import sys; from cli.main import main; main(sys.argv[1:]); "
        "print(sorted({'ray', 'sqlmodel', 'sqlalchemy'} & set(sys.modules)))"
    )
    for arguments in (["--help"], ["run", "find"], ["run", "top"], ["plan", "find"], ["plan", "show", "light"]):
        done = subprocess.run(
            [command()[0], "-c", script, *arguments],
            cwd=cli.folder, env=environment(), capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.splitlines()[-1] == "[]"


def test_the_live_page_leaves_a_clean_terminal(cli: CommandLine) -> None:
    assert on_terminal(cli, ["run", "top", "--once"], env={"NO_COLOR": "1"}) == "nothing\n"
