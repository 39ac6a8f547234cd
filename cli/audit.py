"""`raykqi audit`: who did what when."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from cli.command import command
from cli.output import harmless
from cli.session import Session
from cli.table import Column
from cli.values import parse_limit, parse_period, show_local
from raykqi.domain.access import Deed, DeedQuery

__all__ = ["register"]

COLUMNS = (
    Column("WHEN"),
    Column("BY", style="bold"),
    Column("PROJECT"),
    Column("ACTION", style="cyan"),
    Column("SUBJECT", least=12),
    Column("DETAIL", least=12, weight=3),
)
TABLE_LIMIT = 50
PAGE = 1_000


def register(app: typer.Typer) -> None:
    command(
        app,
        "audit",
        examples="""
        raykqi audit --since yesterday
        raykqi audit --by hanako --action data.purged --json
        raykqi audit --all --since 2026-11-01
        """,
    )(audit)


def audit(
    session: Session,
    everywhere: Annotated[bool, typer.Option("--all", help="Over all projects, for administrators.")] = False,
    by: Annotated[str, typer.Option("--by", metavar="USER", help="What this user did.")] = "",
    action: Annotated[str, typer.Option("--action", metavar="NAME", help="As in member.set or data.purged.")] = "",
    subject: Annotated[str, typer.Option("--subject", metavar="ID", help="What was done to it.")] = "",
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="From then on: yesterday, 2h (ago).")] = "",
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="Before then.")] = "",
    limit: Annotated[
        str,
        typer.Option(
            "--limit", "-l", metavar="N", help=f"At most so many, or all; {TABLE_LIMIT} in a table.", show_default=False
        ),
    ] = "",
) -> None:
    """Who did what in the project, newest first."""
    most = parse_limit(limit, "--limit") if limit else None if session.json else TABLE_LIMIT
    begin, end = parse_period(since, until, "")
    found: list[Deed] = []
    cursor = ""
    with session.open() as workspace:
        project = "" if everywhere else workspace.project_name
        query = DeedQuery(project=project, by=by, action=action, subject=subject, since=begin, until=end)
        while most is None or len(found) < most:
            page = workspace.audit(query, limit=PAGE if most is None else min(PAGE, most - len(found)), cursor=cursor)
            found += page.items
            cursor = page.next_cursor
            if not cursor:
                break
    if session.json:
        session.out.json([msgspec.to_builtins(deed) for deed in found])
    elif found:
        session.out.table(COLUMNS, [_row(deed) for deed in found])
        if cursor:
            session.out.note(f"There are more than these {most}; --limit all shows them.")
    else:
        session.out.note("Nobody did such a thing.")


def _row(deed: Deed) -> list[str]:
    moment = show_local(deed.at, seconds=True)
    return [moment, *(harmless(text) for text in (deed.by, deed.project, deed.action, deed.subject, deed.detail))]
