"""However a command ends, its run ends in the right state, says why, and leaves no process behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from raykqi.domain.order import Running
from raykqi.domain.resources import Resources
from raykqi.domain.run import Exit
from raykqi.execution.cgroup import Cgroup
from raykqi.execution.logs import read_log
from raykqi.execution.supervisor import Supervisor
from raykqi.settings import Settings
from tests.integration.execution.orders import Node
from tests.integration.execution.watching import Background, alive_with, eventually
from tests.integration.mounts import small_disk

# Leaves the session and the process group, is deaf, and outlives its parent if it can.
DAEMON = "setsid sh -c 'trap \"\" TERM HUP; while :; do sleep 1; done' {mark} </dev/null >/dev/null 2>&1 &"


def test_the_exit_code_and_the_last_words_are_told(each_node: Node) -> None:
    ended = each_node.run("sh", "-c", "echo kept > {outputs.model}/a; echo it is broken >&2; exit 3")

    assert ended.exit == Exit(3, "exited with code 3: it is broken")
    assert each_node.files(ended) == {"a": b"kept\n"}


def test_a_command_ended_by_a_signal_names_it(each_node: Node) -> None:
    ended = each_node.run("sh", "-c", "kill -SEGV $$")

    assert ended.exit == Exit(139, "ended by SIGSEGV")


def test_a_command_that_ignores_sigterm_is_killed_after_the_grace(each_node: Node) -> None:
    run = Background(each_node, each_node.order("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"))
    eventually(lambda: log_of(run, each_node) == b"ready\n")

    run.supervisor.stop(0.3)

    assert run.wait().exit.code == 137


def test_a_stopped_command_may_tidy_up_and_what_it_made_is_stored(each_node: Node) -> None:
    script = "trap 'echo saved > {outputs.model}/checkpoint; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    run = Background(each_node, each_node.order("sh", "-c", script))
    eventually(lambda: log_of(run, each_node) == b"ready\n")

    run.supervisor.stop(30.0)

    ended = run.wait()
    assert ended.exit == Exit(0)
    assert each_node.files(ended) == {"checkpoint": b"saved\n"}


def test_a_run_that_is_stopped_before_its_launch_never_launches(each_node: Node) -> None:
    supervisor = each_node.supervisor(each_node.order("true"))
    supervisor.stop(10.0)

    ended = supervisor.run()

    assert ended.exit == Exit(143, "stopped before its command was launched")
    assert each_node.files(ended) == {}
    assert not any(isinstance(report, Running) for report in each_node.reports)


def test_a_command_over_its_time_is_ended(each_node: Node) -> None:
    ended = each_node.run("sleep", "300", timeout=0.4)

    assert ended.exit == Exit(124, "timed out after 0.4 s")


@pytest.mark.parametrize("how", ["end", "stop", "timeout"])
def test_daemons_end_with_their_run(each_node: Node, how: str) -> None:
    mark = f"daemon-{how}-{each_node.launcher}"
    rest = "echo ready" if how == "end" else "echo ready; sleep 300"
    timeout = 1.0 if how == "timeout" else 0.0
    order = each_node.order("sh", "-c", DAEMON.replace("{mark}", mark) + " " + rest, timeout=timeout, grace=0.2)
    run = Background(each_node, order)
    if how != "end":
        eventually(lambda: len(alive_with(mark)) == 1, "the daemon is there")
    if how == "stop":
        run.supervisor.stop(0.2)

    run.wait()

    assert alive_with(mark) == []


SUPERVISE = """
import sys, threading
from pathlib import Path
import msgspec
from raykqi.domain.order import Order
from raykqi.execution.launchers import spawning
from raykqi.execution.supervisor import Supervisor
from raykqi.settings import Settings
order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
settings = Settings(cache_dir=Path(sys.argv[1]))
spawning.SYSTEM_PATH = sys.argv[3] + spawning.SYSTEM_PATH
Supervisor(order, settings, folder=Path(sys.argv[2]), report=lambda report: print(report, flush=True)).run()
"""


@pytest.mark.parametrize("with_bubblewrap", [True, False])
def test_nothing_outlives_a_supervisor_that_is_killed(each_node: Node, tmp_path: Path, with_bubblewrap: bool) -> None:
    if not with_bubblewrap and each_node.launcher == "sandbox":
        pytest.skip("a sandbox is made by bubblewrap")
    (tmp_path / "bwrap").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bwrap").chmod(0o755)
    before = "" if with_bubblewrap else f"{tmp_path}:"
    mark = f"orphan-{each_node.launcher}"
    order = each_node.order("sh", "-c", DAEMON.replace("{mark}", mark) + f" sh -c 'sleep 300; :' {mark}; :")
    command = [
        sys.executable,
        "-c",
        SUPERVISE,
        str(each_node.settings.cache_dir),
        str(each_node.folder / "runs"),
        before,
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.write(msgspec.json.encode(order))
        process.stdin.close()
        try:
            eventually(lambda: len(alive_with(mark)) >= 2, "the daemon and the command are there")
        finally:
            process.send_signal(signal.SIGKILL)

    eventually(lambda: alive_with(mark) == [], "all of them are gone")


def test_more_memory_than_its_own_kills_the_command_and_says_so(each_node: Node) -> None:
    probe = Cgroup.make("raykqi-probe", 1 << 26)
    is_limited = probe.is_limited
    probe.remove()
    if not is_limited:
        pytest.skip("needs the right to make control groups")

    ended = each_node.run(sys.executable, "-c", "x = bytearray(1 << 30)", resources=Resources(memory=128 << 20))

    assert ended.exit == Exit(
        137, "OOMKilled: needed more than its memory of 128Mi; raise `memory` in the plan's resources"
    )


def test_a_full_disk_is_named(each_node: Node, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "8m") as disk:
        order = each_node.order("sh", "-c", "cat /dev/zero > {outputs.model}/zeros")
        supervisor = Supervisor(order, each_node.settings, folder=disk, report=each_node.reports.append)
        ended = supervisor.run()
        supervisor.clear()

    assert ended.exit.code == 1
    assert "no space is left on the node's disk" in ended.exit.message


def test_a_full_store_is_named(each_node: Node, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "4m") as disk:
        order = each_node.order("sh", "-c", "head -c 9000000 /dev/urandom > {outputs.model}/a", workspace=str(disk))
        ended = each_node.supervisor(order).run()

    assert ended.exit.code == 255
    assert "output 'model' could not be stored, the disk is full" in ended.exit.message


def test_a_missing_program_is_named(each_node: Node) -> None:
    ended = each_node.run("no-such-program", "--help")

    assert ended.exit == Exit(
        255, "the command could not be started: execvp no-such-program: No such file or directory"
    )


def test_a_missing_package_is_named(each_node: Node) -> None:
    each_node.settings = with_node_env(each_node, PIP_NO_INDEX="1", PIP_RETRIES="0")

    ended = each_node.run("true", runtime_env={"pip": ["raykqi-no-such-package"]})

    assert ended.exit.code == 255
    assert "No matching distribution found for raykqi-no-such-package" in ended.exit.message
    assert b"No matching distribution" in each_node.log(ended)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"launcher": "container"}, "containers cannot be launched on this node"),
        ({"runtime_env": {"conda": "x"}}, "runtime_env: 'conda' is not known here"),
        ({"runtime_env": {"pip": "numpy"}}, "runtime_env: pip is no list of packages"),
        ({"env": {"A=B": "1"}}, "'A=B' cannot be a variable of the environment"),
        ({"env": {"A": "{inputs.nothing}"}}, "{inputs.nothing} names nothing"),
    ],
)
def test_what_cannot_be_started_says_why(node: Node, change: dict[str, object], message: str) -> None:
    ended = node.run("true", **change)  # type: ignore[arg-type]

    assert ended.exit.code == 255
    assert message in ended.exit.message


def test_an_input_that_is_missing_or_damaged_is_named(each_node: Node) -> None:
    missing = each_node.run("true", inputs={"dataset": "ab" * 32})
    tree = each_node.data({"a": b"x" * 1000})
    (pack,) = [item.key for item in each_node.store.list("packs/")]
    each_node.store.put(pack, b"y" * 1000)
    damaged = each_node.run("true", inputs={"dataset": tree})

    assert (missing.exit.code, damaged.exit.code) == (255, 255)
    assert "abab" in missing.exit.message
    assert "is damaged" in damaged.exit.message


def test_a_plan_without_a_command_says_what_to_do(node: Node) -> None:
    ended = node.run(image="lab/train:1")

    assert ended.exit.code == 255
    assert "Give the plan a `command`" in ended.exit.message


def log_of(run: Background, node: Node) -> bytes:
    return b"".join(read_log(node.store, run.order.attempt.run, 1))


def with_node_env(node: Node, **values: str) -> Settings:
    return replace(node.settings, node_env=(*Settings.from_env().node_env, *values.items()))


def test_a_store_that_cannot_be_reached_ends_the_run_with_the_reason(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    node.settings = replace(node.settings, s3_endpoint="http://127.0.0.1:9", storage_timeout=1.0)
    order = node.order("sh", "-c", "echo 1 > {outputs.model}/a", workspace="s3://nowhere/lab")

    run = Background(node, order)

    ended = run.wait()
    assert ended.exit.code == 255
    assert "output 'model' could not be stored: " in ended.exit.message
    assert "127.0.0.1:9" in ended.exit.message
