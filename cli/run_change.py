"""`raykqi run stop`, `retry` and `rm`."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.command import RunIds, command, ids_of
from cli.run_text import STATUS_STYLES, run_record, say_if_nobody_serves
from cli.session import Session

__all__ = ["register"]

WhyRemoved = Annotated[str, typer.Option("--reason", "-r", metavar="TEXT", help="Why: the lineage keeps it.")]


def register(app: typer.Typer) -> None:
    command(app, "stop", examples="raykqi run stop 01939c1c-7d1e\nraykqi run stop --fail 01939c1c-7d1e")(stop)
    command(
        app,
        "retry",
        examples="""
        raykqi run retry 01939c1c-7d1e
        raykqi run find --status failed -q | raykqi run retry -
        """,
    )(retry)
    command(app, "rm", examples="raykqi run rm 01939c1c-7d1e --reason 'wrong labels'")(remove)


def stop(
    session: Session,
    runs: RunIds,
    fail: Annotated[bool, typer.Option("--fail", help="What they have made counts as failed.")] = False,
) -> None:
    """End runs; what they have made so far counts as done, unless they shall --fail."""
    with session.open() as workspace:
        stopped = workspace.stop(ids_of(runs), fail=fail)
    if session.json:
        session.out.json([run_record(run) for run in stopped])
        return
    for run in stopped:
        session.out.line(f"{run.id}  {session.out.styled(run.status, STATUS_STYLES.get(run.status, ''))}")


def retry(session: Session, runs: RunIds) -> None:
    """Run them again on the same data; what they had made gives way to what comes."""
    with session.open() as workspace:
        again = workspace.retry(ids_of(runs))
        say_if_nobody_serves(session, workspace, again)
    if session.json:
        session.out.json([run_record(run) for run in again])
        return
    session.out.lines(f"{run.id}  {run.status}" for run in again)


def remove(session: Session, runs: RunIds, reason: WhyRemoved = "") -> None:
    """Remove runs and what they made. The same plan never runs on the same data again; lineage keeps tombstones."""
    with session.open() as workspace:
        gone = workspace.remove_runs(ids_of(runs), reason)
    if session.json:
        session.out.json(gone)
        return
    session.out.lines(gone)
    session.out.note(f"{len(gone)} removed.")
