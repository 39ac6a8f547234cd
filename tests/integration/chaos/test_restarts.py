"""The controller is killed and another one takes over: what runs goes on, what ended meanwhile is taken."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from raykqi.domain.order import Attempt
from raykqi.domain.run import Exit, Run
from raykqi.storage.receipts import receipt_key
from tests.integration.chaos import user_functions
from tests.integration.chaos.nodes import until
from tests.integration.chaos.served import Served

SMALL = "resources: {cpu: 0.5, memory: 0}"


@pytest.fixture
def go(served: Served) -> Path:
    """What the command of `begun` waits for."""
    return served.folder.parent / "go"


def begun(served: Served, go: Path, more: str = "") -> Run:
    """A run whose command runs, and ends when it is let go."""
    served.bench.plan(
        f"echo attempt $RAYKQI_ATTEMPT\nuntil [ -e {go} ]; do sleep 0.1; done\necho 語 > {{outputs.made}}/file",
        inputs={"/in": ["to:wait"]},
        outputs={"/made": ["by:wait"]},
        more=f"{SMALL}\n{more}",
    )
    served.serve()
    served.bench.push("to:wait")
    run = served.bench.until(served.bench.only_run(), "running")
    assert next(served.ws.logs(run, follow=True)) == b"attempt 1\n"
    return run


def supervisor(served: Served) -> psutil.Process:
    (found,) = [process for node in served.cluster.nodes.values() for process in node.titled("ray::RunActor")]
    return found


def has_receipt(served: Served, run: Run) -> bool:
    wanted = receipt_key(Attempt(run.id, 1))
    return any(found.key == wanted for found in served.bench.opened.parts.store.list("receipts/"))


def assert_done_in_its_first_attempt(served: Served, run: Run) -> None:
    (ended,) = served.wait([run])
    assert (ended.status, ended.attempt, ended.exit) == ("done", 1, Exit(0))
    assert b"".join(served.ws.cat(served.bench.output(ended, "made"), "file")) == "語\n".encode()
    assert len(served.ends()) == 1
    served.assert_nothing_is_left()


def test_a_running_command_is_taken_over_as_it_is(served: Served, go: Path) -> None:
    run = begun(served, go)
    command = until(lambda: (beat := served.ws.beat(run)) and beat.pid)
    born = psutil.Process(command).create_time()

    served.kill()
    served.serve()

    beat = served.ws.beat(run)
    assert beat is not None
    assert (beat.pid, psutil.Process(beat.pid).create_time()) == (command, born)
    assert [(found.status, found.attempt) for found in served.ws.runs()] == [("running", 1)]
    go.touch()
    assert_done_in_its_first_attempt(served, run)


def test_what_ended_meanwhile_is_told_by_its_supervisor(served: Served, go: Path) -> None:
    run = begun(served, go)
    served.kill()
    go.touch()
    until(lambda: has_receipt(served, run))
    served.bench.opened.parts.store.delete([receipt_key(Attempt(run.id, 1))])  # so that only the supervisor knows

    served.serve()

    assert_done_in_its_first_attempt(served, run)


def test_what_ended_meanwhile_is_told_by_its_receipt_when_the_supervisor_has_died(served: Served, go: Path) -> None:
    run = begun(served, go)
    served.kill()
    go.touch()
    until(lambda: has_receipt(served, run))
    supervisor(served).kill()
    assert served.cluster.look("idle")["actors"] == []

    served.serve()

    assert_done_in_its_first_attempt(served, run)


def test_a_command_that_was_lost_meanwhile_begins_again_without_blame(served: Served, go: Path) -> None:
    run = begun(served, go)
    served.kill()
    supervisor(served).kill()
    assert served.cluster.look("idle")["actors"] == []

    served.serve()
    go.touch()

    (ended,) = served.wait([run])
    assert (ended.status, ended.attempt) == ("done", 2)
    assert b"".join(served.ws.logs(ended, attempt=1)) == b"attempt 1\n"
    served.assert_nothing_is_left()


def test_a_function_whose_controller_died_begins_again_without_blame(served: Served) -> None:
    flag = served.folder.parent / "begun"
    served.ws.apply(user_functions.linger, params={"flag": str(flag)})
    served.serve()
    served.bench.push("to:linger")
    until(flag.exists)

    served.kill()
    served.serve()

    (ended,) = served.wait()
    assert (ended.status, ended.attempt) == ("done", 2)
    served.assert_nothing_is_left()


def test_a_command_whose_supervisor_is_killed_is_tried_again_as_often_as_its_plan_says(
    served: Served, go: Path
) -> None:
    run = begun(served, go, "retries: 1\nbackoff: 0")
    supervisor(served).kill()
    served.bench.until(run, "waiting", "starting")
    assert until(lambda: (tried := served.ws.run(run)).attempt == 2 and tried.status == "running" and tried)
    supervisor(served).kill()

    (ended,) = served.wait([run])

    assert (ended.status, ended.attempt) == ("failed", 2)
    assert ended.exit is not None
    assert ended.exit.code == 254
    assert ended.exit.message.startswith("its process on the node died: it ended itself (os._exit), crashed, or was")
    served.assert_nothing_is_left()


def test_a_stop_while_nobody_serves_is_told_by_the_next(served: Served, go: Path) -> None:
    run = begun(served, go)
    served.kill()
    served.ws.stop(run)

    served.serve()

    (ended,) = served.wait([run])
    assert (ended.status, ended.attempt, ended.exit) == ("done", 1, Exit(0, "stopped by user"))
    served.assert_nothing_is_left()
