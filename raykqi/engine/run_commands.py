"""What one may ask the controller to do with plans and runs. Ids are whole; prefixes are resolved before."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from raykqi.domain.order import Attempt, Ended, Lost
from raykqi.domain.plan import Definition, PlanSettings
from raykqi.domain.run import RunStatus

__all__ = [
    "ApplyPlan",
    "ChangePlan",
    "EndRun",
    "HoldPlan",
    "HoldRun",
    "LoseRun",
    "LoseRuns",
    "MoveRuns",
    "RemoveRuns",
    "RetryRuns",
]
__all__ += ["RetryRuns", "ReuseRun", "RunCommand", "StartRuns", "StopRuns", "conclude"]


class ApplyPlan(msgspec.Struct, frozen=True):
    """`replaces` earlier plans of the same name: they are switched off in the same step."""

    by: str
    definition: Definition
    settings: PlanSettings
    replaces: bool = False
    project: str = "default"


class ChangePlan(msgspec.Struct, frozen=True):
    """What is None stays as it is. In `resources`, None takes one off; removals of annotations come first."""

    by: str
    plan: str
    active: bool | None = None
    resources: Mapping[str, object] | None = None
    running: int | None = None
    pending: int | None = None
    service_account: str | None = None
    add_annotations: tuple[tuple[str, str], ...] = ()
    remove_annotations: tuple[tuple[str, str], ...] = ()
    remove_annotation_keys: tuple[str, ...] = ()
    project: str = ""


class HoldPlan(msgspec.Struct, frozen=True):
    """Why none of its runs can start, or "" when they can again."""

    by: str
    plan: str
    reason: str


class StartRuns(msgspec.Struct, frozen=True):
    """Those of them that still wait become new attempts, `ready` or at once `starting`; the others are left out."""

    by: str
    runs: tuple[str, ...]
    executor: str
    status: RunStatus = "starting"


class MoveRuns(msgspec.Struct, frozen=True):
    """How far attempts have come. Those that are not under way any more, or are being stopped, are left out."""

    by: str
    status: RunStatus
    attempts: tuple[Attempt, ...]
    node: str = ""
    executor: str = ""


class HoldRun(msgspec.Struct, frozen=True):
    """Why the run does not go on from `status`; nothing is said when it has gone on meanwhile."""

    by: str
    attempt: Attempt
    status: RunStatus
    reason: str


class EndRun(msgspec.Struct, frozen=True):
    by: str
    ended: Ended


class LoseRun(msgspec.Struct, frozen=True):
    """Nothing will come of the attempt. A `blameless` one begins again without counting."""

    by: str
    attempt: Attempt
    reason: str
    blameless: bool = False


class LoseRuns(msgspec.Struct, frozen=True):
    """The same of several; those that are not under way any more are left out."""

    by: str
    attempts: tuple[Attempt, ...]
    reason: str
    blameless: bool = False


class ReuseRun(msgspec.Struct, frozen=True):
    """The run takes the outputs of `source`, which did the same with the same content."""

    by: str
    run: str
    source: str


class StopRuns(msgspec.Struct, frozen=True):
    """What they have made so far counts as done, unless they shall `fail`."""

    by: str
    runs: tuple[str, ...]
    fail: bool = False
    project: str = ""


def conclude(by: str, report: Ended | Lost) -> EndRun | LoseRun:
    """What a report of the end of an attempt asks for."""
    if isinstance(report, Ended):
        return EndRun(by, report)
    return LoseRun(by, report.attempt, report.reason, report.blameless)


class RetryRuns(msgspec.Struct, frozen=True):
    by: str
    runs: tuple[str, ...]
    project: str = ""


class RemoveRuns(msgspec.Struct, frozen=True):
    by: str
    runs: tuple[str, ...]
    reason: str = ""
    project: str = ""


RunCommand = (
    ApplyPlan
    | ChangePlan
    | HoldPlan
    | HoldRun
    | StartRuns
    | MoveRuns
    | EndRun
    | LoseRun
    | LoseRuns
    | ReuseRun
    | StopRuns
    | RetryRuns
    | RemoveRuns
)
