"""Ray's errors in words for people."""

from __future__ import annotations

import pytest
from ray.exceptions import ActorDiedError, NodeDiedError, OutOfMemoryError, RuntimeEnvSetupError, WorkerCrashedError

from raykqi.cluster.losses import never_began, why_lost

WORKER_KILLED = (
    "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: Worker "
    "unexpectedly exits with a connection error code 2. End of file. Some common causes include: (1) the process was "
    "killed by the OOM killer due to high memory usage, (2) ray stop --force was called, or (3) the worker crashed"
)
NO_MEMORY = (
    "1 worker(s) were killed due to the node running low on memory. Memory on the node (IP: 192.0.2.2, ID: 9979ddf6) "
    "was 2.31GB used / 23.54GB limit (0.098219)\nOOM kill reason: Memory usage 2482622464B exceeded threshold"
)


def actor_died(text: str) -> ActorDiedError:
    error = ActorDiedError()
    error.args, error.error_msg = (text,), text
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (actor_died(WORKER_KILLED), "its process on the node died"),
        (WorkerCrashedError(), "its process on the node died"),
        (NodeDiedError("The node was lost"), "the node it ran on is gone"),
        (actor_died("The actor died because its node has died. Node Id: 5e9a"), "the node it ran on is gone"),
        (
            OutOfMemoryError(NO_MEMORY),
            "killed for memory (OOM): its node had 2.31GB used / 23.54GB limit. Ask for more",
        ),
        (actor_died("The actor is dead because it was killed by `ray.kill`."), "killed on purpose"),
    ],
)
def test_a_loss_is_told_in_words_that_a_person_understands(error: Exception, words: str) -> None:
    assert words in why_lost(error)
    assert never_began(error) == ""


def test_an_environment_that_cannot_be_made_is_no_loss() -> None:
    text = "[Node 192.0.2.2] Traceback (most recent call last):\n  File agent.py\nRuntimeError: pip: no matching wheel"
    assert never_began(RuntimeEnvSetupError(text)).splitlines() == [
        "its environment could not be made: Failed to set up runtime environment.",
        "[Node 192.0.2.2] Traceback (most recent call last):",
        "RuntimeError: pip: no matching wheel",
    ]


def test_what_ray_refuses_is_no_loss() -> None:
    assert never_began(ValueError("num_gpus must be")) == "Ray refuses what it asks for: num_gpus must be"


def test_of_what_a_failed_tool_said_its_output_is_told() -> None:
    text = "Command '[...]' returned non-zero exit status 1.\nLast 50 lines of stdout:\n    ERROR: no wheel\n"
    assert never_began(RuntimeEnvSetupError(text)) == "its environment could not be made: ERROR: no wheel"
