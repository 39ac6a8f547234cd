"""Nodes on which bubblewrap is not permitted, or nothing at all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from raykqi.domain.run import Exit
from raykqi.execution.launchers import bubblewrap, process, spawning
from tests.integration.execution.orders import Node
from tests.integration.execution.watching import Background, alive_with, eventually

DAEMON = "setsid sh -c 'trap \"\" TERM HUP; while :; do sleep 1; done' {mark} </dev/null >/dev/null 2>&1 &"


@pytest.fixture(params=["unshare", "nothing"])
def poor_node(node: Node, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Node]:
    """What is permitted is asked of programs, so the node gets programs that refuse."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ["bwrap"] if request.param == "unshare" else ["bwrap", "unshare"]:
        (folder / name).write_text("#!/bin/sh\nexit 1\n")
        (folder / name).chmod(0o755)
    caches = (bubblewrap.bubblewrap_works, bubblewrap.proc_arguments, process.unshare_works, spawning.found_program)
    before = spawning.SYSTEM_PATH
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spawning, "SYSTEM_PATH", f"{folder}:{before}")
        for cached in caches:
            cached.cache_clear()
        yield node
    for cached in caches:
        cached.cache_clear()


def test_a_command_runs_and_its_end_is_told(poor_node: Node) -> None:
    tree = poor_node.data({"a": b"one\n"})

    fine = poor_node.run("cp", "{inputs.x}/a", "{outputs.model}/b", inputs={"x": tree})
    failed = poor_node.run("sh", "-c", "echo no; exit 3")
    killed = poor_node.run("sh", "-c", "kill -9 $$")

    assert poor_node.files(fine) == {"b": b"one\n"}
    assert failed.exit == Exit(3, "exited with code 3: no")
    assert (killed.exit.code, killed.exit.message[:16]) == (137, "ended by SIGKILL")


def test_a_stopped_command_may_tidy_up(poor_node: Node) -> None:
    script = "trap 'echo saved > {outputs.model}/a; exit 0' TERM; echo > $RAYKQI_PROGRESS; while :; do sleep 0.05; done"
    order = poor_node.order("sh", "-c", script)
    run = Background(poor_node, order)
    progress = poor_node.folder / "runs" / f"{order.attempt.run}-1" / "own" / "progress" / "progress"
    eventually(progress.exists)

    run.supervisor.stop(30.0)

    assert poor_node.files(run.wait()) == {"a": b"saved\n"}


@pytest.mark.parametrize("how", ["end", "stop"])
def test_daemons_end_with_their_run(poor_node: Node, how: str) -> None:
    mark = f"poor-daemon-{how}-{threading.get_ident()}"
    rest = "sleep 0.2" if how == "end" else "sleep 300"
    run = Background(poor_node, poor_node.order("sh", "-c", DAEMON.replace("{mark}", mark) + rest))
    eventually(lambda: len(alive_with(mark)) == 1)
    if how == "stop":
        run.supervisor.stop(0.2)

    run.wait()

    eventually(lambda: alive_with(mark) == [])


def test_a_missing_program_is_named(poor_node: Node) -> None:
    ended = poor_node.run("no-such-program")

    assert ended.exit.code in (127, 255)
    assert "no-such-program" in ended.exit.message


def test_a_sandbox_is_refused_with_the_reason(poor_node: Node) -> None:
    ended = poor_node.run("true", launcher="sandbox")

    assert ended.exit.code == 255
    assert ended.exit.message.startswith("bubblewrap does not work on this node. Install `bwrap`")
