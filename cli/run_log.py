"""`raykqi run logs` and `files`: what a run has said and what it has written, while it runs and afterwards."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.command import RunId, command
from cli.output import harmless
from cli.run_text import remark_of
from cli.session import Session
from cli.table import Column
from cli.values import show_size
from raykqi.domain.run import ENDED

__all__ = ["register"]

COLUMNS = (Column("OUTPUT", style="bold"), Column("SIZE", right=True), Column("PATH"))


def register(app: typer.Typer) -> None:
    command(
        app,
        "logs",
        examples="""
        raykqi run logs 01939c1c-7d1e
        raykqi run logs -f 01939c1c-7d1e
        raykqi run logs --attempt 1 01939c1c-7d1e
        """,
    )(logs)
    command(app, "files", examples="raykqi run files 01939c1c-7d1e")(files)


def logs(
    session: Session,
    run: RunId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the attempt has ended.")] = False,
    attempt: Annotated[
        int | None, typer.Option("--attempt", metavar="N", min=1, help="Not the last attempt but this one.")
    ] = None,
) -> None:
    """What it wrote to stdout and stderr, byte for byte."""
    with session.open() as workspace:
        session.out.bytes(workspace.logs(run, follow=follow, attempt=attempt), at_once=follow)
        if follow and attempt is None and (left := workspace.run(run)).status not in ENDED:
            session.out.complain(f"the attempt is over, but the run is {left.status} again: {remark_of(left)}")


def files(session: Session, run: RunId) -> None:
    """The files in its outputs: those written so far while it runs, those that were kept afterwards."""
    with session.open() as workspace:
        found = workspace.files(run)
    if session.json:
        session.out.json([{"output": each.output, "path": each.path, "size": each.size} for each in found])
    elif found:
        rows = [[each.output, show_size(each.size), harmless(each.path)] for each in found]
        session.out.table(COLUMNS, rows, exact=True)
    else:
        session.out.note("It has written nothing.")
