"""Runs as people read them: what a run is doing, why it waits, how long it took, what made it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cli.output import harmless
from cli.records import Record
from cli.session import Session
from cli.values import show_duration
from raykqi.domain.run import ENDED, LIVE, Run
from raykqi.domain.run_record import run_record
from raykqi.errors import RaykqiError

if TYPE_CHECKING:
    from cli.session import AnyWorkspace
    from raykqi.domain.events import RunCreated
    from raykqi.domain.run import Cause

__all__ = [
    "NOBODY",
    "STATUS_STYLES",
    "cause_of",
    "new_run_record",
    "plan_names",
    "remark_of",
    "run_record",
    "say_if_nobody_serves",
    "show_age",
    "show_new_run",
    "time_of",
]

STATUS_STYLES = {
    "starting": "cyan",
    "running": "cyan",
    "completing": "cyan",
    "aborting": "yellow",
    "done": "green",
    "failed": "red",
}
NOBODY = "nothing runs the plans of this workspace now: start `raykqi up` or `raykqi work`"
DAY = 86_400


def new_run_record(run: RunCreated) -> Record:
    """A run that would be made: `plan inputs[]{name data}`."""
    return {"plan": run.plan, "inputs": [{"name": each.name, "data": each.data} for each in run.inputs]}


def plan_names(workspace: AnyWorkspace, runs: Iterable[RunCreated]) -> dict[str, str]:
    """What people call the plans of these runs; a plan that is only being tried has no name yet."""
    names: dict[str, str] = {}
    for plan in {run.plan for run in runs}:
        with suppress(RaykqiError):
            names[plan] = workspace.plan(plan).title
    return names


def show_new_run(session: Session, run: RunCreated, names: Mapping[str, str]) -> str:
    inputs = [f"{each.name}={each.data}" for each in run.inputs]
    return f"would run {session.out.styled(harmless(names.get(run.plan, 'it')), 'bold')}  {harmless(' '.join(inputs))}"


def time_of(run: Run, now: datetime | None = None) -> float | None:
    """Seconds that its last attempt took, or has taken so far; None before it began."""
    if run.started is None or (run.status not in LIVE and run.status not in ENDED):
        return None
    end = run.ended if run.status in ENDED else now or datetime.now(UTC)
    return max(0.0, (end - run.started).total_seconds()) if end else None


def remark_of(run: Run) -> str:
    """Why it waits, or how it came to its end if that was not well."""
    if run.status == "failed" or (run.exit and run.exit.code):
        code = f"exit {run.exit.code}" if run.exit else ""
        return ": ".join(filter(None, [code, run.exit.message if run.exit else "", run.reason][:2])) or run.reason
    if run.reused_from:
        return f"reused from {run.reused_from}"
    return run.reason if run.status not in ENDED else ""


def cause_of(cause: Cause) -> str:
    by = f" by {cause.by}" if cause.by else ""
    if cause.kind == "data":
        return f"data {cause.data} came{by}"
    if cause.kind == "tags":
        tags = " ".join(map(str, cause.tags))
        return f"tag{'s' if len(cause.tags) > 1 else ''} {tags} {_were(cause)} added to data {cause.data}{by}"
    return {"plan": f"its plan was applied{by}", "backlog": "fewer runs of its plan wait now"}.get(
        cause.kind, f"it was asked for{by}"
    )


def show_age(moment: datetime, now: datetime) -> str:
    """`0:07`, `3:05:00`, and from two days on `12 d`."""
    seconds = max(0.0, (now - moment).total_seconds())
    return show_duration(seconds) if seconds < 2 * DAY else f"{int(seconds // DAY)} d"


def say_if_nobody_serves(session: Session, workspace: AnyWorkspace, runs: Iterable[Run]) -> None:
    """Those that wait would wait forever, and those that run may have died with who ran them."""
    if session.json or not any(run.status not in ("deactivated", *ENDED) for run in runs):
        return
    with suppress(RaykqiError):  # a workspace that may only be read
        if not workspace.is_served():
            session.out.complain(NOBODY)


def _were(cause: Cause) -> str:
    return "were" if len(cause.tags) > 1 else "was"
