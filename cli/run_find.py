"""`raykqi run find`: the runs that meet every condition, as a table, as ids or as JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, cast

import typer

from cli.command import command
from cli.completion import complete_data, complete_plan
from cli.run_text import remark_of, run_record, say_if_nobody_serves, show_age, time_of
from cli.session import Session
from cli.table import Column
from cli.values import parse_limit, parse_period, short_ids, show_duration
from raykqi.domain.filter_text import RUN_FIELDS, by_field
from raykqi.domain.run import STATUSES

if TYPE_CHECKING:
    from raykqi.domain.run import Run, RunStatus

__all__ = ["register", "statuses_of"]

TABLE_LIMIT = 50
COLUMNS = (
    Column("ID", style="cyan"),
    Column("STATUS"),
    Column("PLAN", least=12, style="bold"),
    Column("AGE", right=True, weight=2),
    Column("TOOK", right=True, weight=1),
    Column("WHY", least=12, weight=3),
)


def register(app: typer.Typer) -> None:
    command(
        app,
        "find",
        examples="""
        raykqi run find --status waiting
        raykqi run find --plan train --status failed --since yesterday
        raykqi run find --input 01939c1c-7d1e --json
        raykqi run find --status failed -q | raykqi run retry -
        """,
    )(find)


def find(
    session: Session,
    status: Annotated[
        list[str] | None,
        typer.Option("--status", "-s", metavar="S", help=f"Any of them, or S,S: {', '.join(STATUSES)}."),
    ] = None,
    plan: Annotated[
        list[str] | None,
        typer.Option("--plan", "-p", metavar="PLAN", help="Of this plan, by id or name.", autocompletion=complete_plan),
    ] = None,
    input_: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", metavar="ID", help="That took this data.", autocompletion=complete_data),
    ] = None,
    output: Annotated[
        list[str] | None,
        typer.Option("--output", "-o", metavar="ID", help="That made this data.", autocompletion=complete_data),
    ] = None,
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="Changed from then on: 2026-11-20, yesterday, 2h (ago).")
    ] = "",
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="Changed before then.")] = "",
    duration: Annotated[
        str, typer.Option("--duration", metavar="TIME", help="So long from --since, or up to --until or now.")
    ] = "",
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="FIELD=EXPR",
            help=f"Such as ended=>=2026-11-20 or exit=1; fields: {', '.join(RUN_FIELDS)}.",
        ),
    ] = None,
    oldest_first: Annotated[bool, typer.Option("--oldest-first", help="Newest first otherwise.")] = False,
    limit: Annotated[
        str,
        typer.Option(
            "--limit",
            "-l",
            metavar="N",
            help=f"At most so many, or all; {TABLE_LIMIT} in a table and all with -q or --json otherwise.",
            show_default=False,
        ),
    ] = "",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only whole ids, one a line.")] = False,
) -> None:
    """The runs that meet every condition, newest first. Removed ones only with --status invalidated."""
    is_table = not (quiet or session.json)
    most = parse_limit(limit, "--limit") if limit else TABLE_LIMIT if is_table else None
    begin, end = parse_period(since, until, duration)
    with session.open() as workspace:
        found = workspace.runs(
            status=statuses_of(status),
            plan=plan or (),
            input=input_ or (),
            output=output or (),
            since=begin,
            until=end,
            filters=by_field(filters or (), "="),
            oldest_first=oldest_first,
            limit=None if most is None else most + 1,
        )
        if is_table:
            say_if_nobody_serves(session, workspace, found[:most])
    shown = found[:most]
    if session.json:
        session.out.json([run_record(run) for run in shown])
    elif quiet:
        session.out.lines(run.id for run in shown)
    elif shown:
        now, short = datetime.now(UTC), short_ids(run.id for run in shown)
        session.out.table(COLUMNS, [_row(run, short[run.id], now) for run in shown])
        if len(found) > len(shown):
            session.out.note(f"There are more than these {most}; --limit all shows them.")
    else:
        session.out.note("No run meets these conditions.")


def statuses_of(given: list[str] | None) -> list[RunStatus]:
    """Texts as typed; the workspace refuses what no run is ever."""
    words = (word.strip().lower() for text in given or () for word in text.split(","))
    return cast("list[RunStatus]", [word for word in words if word])


def _row(run: Run, short: str, now: datetime) -> list[str]:
    took = time_of(run, now)
    return [
        short,
        run.status,
        run.title,
        show_age(run.created, now),
        "" if took is None else show_duration(took),
        remark_of(run),
    ]
