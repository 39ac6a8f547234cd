"""`raykqi up` and `work`: a Ray of their own that ends with them, or one that others started."""

from __future__ import annotations

import json
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from tests.e2e.cli.conftest import CommandLine, Served
from tests.e2e.cli.program import Program, still_there
from tests.e2e.cli.test_cli_run import UNTIL_STOPPED, apply, run_of

SOON = 30.0  # what ends within seconds, on a machine that is busy


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home"), "RAYKQI_USER": "lena"}


def test_up_makes_a_workspace_runs_plans_and_leaves_nothing_behind(bare: CommandLine, home: dict[str, str]) -> None:
    with Program(bare.folder, "up", "--no-api", "--cpus", "2", env=home) as up:
        up.until(lambda line: line.startswith("Runs plans now"))
        made, begins, *_ = up.errors.read_text().splitlines()
        assert made == "Made an empty workspace: ./.raykqi"
        assert begins == "Starting Ray; this may take half a minute."
        assert f"workspace  {bare.folder / '.raykqi'}" in up.lines
        dashboard = next(line.split()[1] for line in up.lines if line.startswith("dashboard"))
        with urllib.request.urlopen(dashboard, timeout=30) as page:
            assert page.status == 200
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{dashboard}/api/jobs/", timeout=30)
        assert refused.value.code == 401
        refused.value.close()
        apply(bare, "quick", "true")
        apply(bare, "endless", UNTIL_STOPPED)
        quick, endless = run_of(bare, "quick"), run_of(bare, "endless")
        up.until(lambda line: "done" in line and quick[:18] in line)
        up.until(lambda line: "started" in line and endless[:18] in line)
        with Program(bare.folder, "run", "logs", "-f", endless) as following:
            following.until(lambda line: line == "begun")
        pids = up.pids()
        assert len(pids) > 5

        began = time.monotonic()
        assert up.end(signal.SIGTERM) == 0

    assert time.monotonic() - began < SOON
    assert up.lines[-1] == "1 run will wait again."
    assert still_there(pids, within=10) == []
    again = bare("run", "show", endless, "--json").json
    assert (again["status"], again["attempt"]) == ("waiting", 1)
    assert "what carried it out was stopped" in again["reason"]


@pytest.mark.soak
def test_a_second_signal_ends_it_at_once(cli: CommandLine, home: dict[str, str]) -> None:
    with Program(cli.folder, "up", "--no-api", "--no-dashboard", "--cpus", "1", env=home) as up:
        up.until(lambda line: line.startswith("Runs plans now"))
        # Ray's own agents look for their head for a minute before they give up.
        pids = [pid for pid in up.pids() if not psutil.Process(pid).name().startswith("ray::")]

        up.process.send_signal(signal.SIGINT)
        time_out = time.monotonic() + SOON
        while up.process.poll() is None:
            assert time.monotonic() < time_out
            up.process.send_signal(signal.SIGINT)

    assert up.process.returncode in (-signal.SIGINT, 130)
    assert still_there(pids, within=20) == []


def test_work_runs_what_it_can_and_says_what_is_left(cli: CommandLine, home: dict[str, str]) -> None:
    apply(cli, "good", "echo good")
    apply(cli, "next", "echo next", inputs=[{"path": "/in/a", "tags": ["made-by:good"]}])
    apply(cli, "bad", "exit 9")
    apply(cli, "huge", "true", resources={"gpu": 16})
    runs = {name: run_of(cli, name) for name in ("good", "bad", "huge")}

    with Program(cli.folder, "work", "--cpus", "2", env=home) as work:
        assert work.process.wait(90) == 1

    statuses = {run["title"]: run["status"] for run in cli("run", "find", "--json").json}
    assert statuses == {"good": "done", "next": "done", "bad": "failed", "huge": "waiting"}
    *told, last, left = work.lines
    assert last == "2 runs done, 1 failed, 1 waiting."
    assert left.startswith(f"  {runs['huge']}  huge waits: no node has 16 GPUs")
    assert any("failed" in line and runs["bad"][:18] in line for line in told)


def test_only_one_runs_the_plans_of_a_workspace(served: Served, running: CommandLine) -> None:
    refused = running("up", "--json")

    assert refused.code == 5
    assert "are being run already" in refused.error["message"]
    assert running("work").code == 5


@pytest.mark.soak  # the same with its API is in test_cli_up_api.py
def test_one_that_joined_a_ray_leaves_runs_going_to_the_next(
    served: Served, cli: CommandLine, home: dict[str, str]
) -> None:
    joining = home | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": served.facts["token"]}
    address = served.facts["ray"]
    apply(cli, "endless", UNTIL_STOPPED)
    run = run_of(cli, "endless")
    with Program(cli.folder, "up", "--no-api", "--address", address, env=joining) as up:
        up.until(lambda line: run[:18] in line and "started" in line)
        with Program(cli.folder, "run", "logs", "-f", run) as following:
            following.until(lambda line: line == "begun")

        assert up.end(signal.SIGINT) == 0
        assert up.lines[-1] == "1 run goes on without us."

    assert cli.ok("run", "show", run, "--json").json["status"] == "running"
    with Program(cli.folder, "up", "--address", address, "--detach", "--json", env=joining) as detaching:
        assert detaching.process.wait(60) == 0, detaching.errors.read_text()
    assert json.loads("\n".join(detaching.lines))["running"] is True
    cli("run", "stop", run)
    with Program(cli.folder, "run", "wait", run, "--timeout", "60s") as waiting:
        assert waiting.process.wait(90) == 0
    with Program(cli.folder, "up", "--address", address, "--stop", env=joining) as stopping:
        assert stopping.process.wait(60) == 0, stopping.errors.read_text()
    shown = cli.ok("run", "show", run, "--json").json
    assert (shown["status"], shown["attempt"]) == ("done", 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["up", "--detach"], "--detach needs a cluster"),
        (["up", "--stop"], "--stop needs a cluster"),
        (["up", "--resource", "fpga=many"], "--resource fpga='many' is not a number"),
        (["up", "--memory", "much"], "--memory 'much' is not a size"),
        (["work", "--label", "zone"], "--label 'zone' is not NAME=VALUE"),
        (["work", "--address", "127.0.0.1:1", "--cpus", "2"], "cpus cannot be given for the Ray at 127.0.0.1:1"),
        (["-w", "memory://here", "up"], "cannot be run"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_refused(cli: CommandLine, arguments: list[str], message: str) -> None:
    refused = cli(*arguments)

    assert refused.code in (2, 4)
    assert message in refused.err
