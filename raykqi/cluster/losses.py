"""What Ray says when something dies, in words that tell a person what happened."""

from __future__ import annotations

import re

from ray.exceptions import (
    ActorDiedError,
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    OwnerDiedError,
    RayTaskError,
    RuntimeEnvSetupError,
    TaskCancelledError,
    WorkerCrashedError,
)

__all__ = ["never_began", "why_lost"]

LONGEST = 2000
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_NODE_GONE = re.compile(
    r"node (?:has died|was terminated|is dead|died|failed|was preempted)|node.{0,40}(?:removed|marked dead)", re.I
)
_MEMORY = re.compile(
    r"killed due to the node running low on memory|out of memory \(OOM\)|OutOfMemory|memory pressure", re.I
)
_OUTPUT = "lines of stdout:"
_USED = re.compile(r"[0-9.]+ ?\w+ used / [0-9.]+ ?\w+ limit")
_EXIT_TYPE = re.compile(r"Worker exit type: (\w+)")


def why_lost(error: BaseException) -> str:
    """Why nothing more will come of a run."""
    text = _COLOURS.sub("", str(error))
    if isinstance(error, OutOfMemoryError) or (isinstance(error, ActorDiedError) and _by_memory(text)):
        return f"killed for memory (OOM): its node had {_fullness(text)}. Ask for more memory in the plan's resources."
    if isinstance(error, NodeDiedError | ObjectLostError | OwnerDiedError) or _NODE_GONE.search(text):
        return "the node it ran on is gone"
    if isinstance(error, ActorDiedError) and "killed by `ray.kill`" in text:
        return "the process that looked after it was killed on purpose, from outside raykqi"
    if isinstance(error, ActorDiedError | WorkerCrashedError):
        return (
            "its process on the node died: it ended itself (os._exit), crashed, or was killed by someone, "
            "such as the kernel when memory ran out"
        )
    if isinstance(error, TaskCancelledError):
        return "it was cancelled in Ray, not by raykqi"
    if isinstance(error, RayTaskError):
        return f"carrying it out failed on the node: {_last_line(text)}"
    return f"{type(error).__name__}: {text[:LONGEST]}"


def never_began(error: BaseException) -> str:
    """What kept a run from beginning, such that another attempt would fare no better; "" when it is not that."""
    text = _COLOURS.sub("", str(error))
    if isinstance(error, RuntimeEnvSetupError):
        return f"its environment could not be made: {_said(text)}"
    if isinstance(error, ActorDiedError) and error.actor_init_failed:
        return f"it could not be started on the node: {_last_line(text)}"
    if isinstance(error, ValueError | TypeError) and not isinstance(error, RayTaskError):
        return f"Ray refuses what it asks for: {text[:LONGEST]}"
    return ""


def _by_memory(text: str) -> bool:
    """Ray names memory as a possible cause of every unexpected exit; only a kill of its own is one for sure."""
    exit_type = _EXIT_TYPE.search(text)
    return bool(_MEMORY.search(text)) and (exit_type is None or exit_type[1] != "SYSTEM_ERROR")


def _fullness(text: str) -> str:
    found = _USED.search(text)
    return found[0] if found else "no more to give"


def _said(text: str) -> str:
    """What the tool said, without the traceback of who called it."""
    _, has_output, output = text.partition(_OUTPUT)
    if has_output:
        return "\n".join(line.strip() for line in output.splitlines() if line.strip())[-LONGEST:]
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(("  ", "Traceback"))]
    return "\n".join(lines)[-LONGEST:]


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")[:LONGEST]
