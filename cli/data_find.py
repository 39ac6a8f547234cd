"""`raykqi data find`: the data that meet every condition, as a table, as ids or as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.command import command
from cli.completion import complete_data, complete_tag
from cli.records import data_record
from cli.session import Session
from cli.table import Column
from cli.values import parse_limit, parse_period, parse_size, short_ids, show_local, show_size
from raykqi.domain.filter_text import DATA_FIELDS, by_field
from raykqi.errors import InvalidInput

if TYPE_CHECKING:
    from cli.session import AnyWorkspace
    from raykqi.domain.data import Data

__all__ = ["register"]

TABLE_LIMIT = 50
UNUSABLE = ("processing", "failed", "purged")
COLUMNS = (
    Column("ID", style="cyan"),
    Column("NAME", least=12, style="bold"),
    Column("STATUS", weight=4, style="yellow"),
    Column("TAGS", least=12, weight=5),
    Column("SIZE", right=True, weight=2),
    Column("FILES", right=True, weight=1),
    Column("WHEN", weight=3),
)


def register(app: typer.Typer) -> None:
    command(
        app,
        "find",
        examples="""
        raykqi data find -t type:dataset -t '!split:test'
        raykqi data find --since yesterday --min-size 10MB --json
        raykqi data find -t type:scratch --limit all -q | raykqi data rm - --reason 'no longer needed'
        """,
    )(find)


def find(
    session: Session,
    tags: Annotated[
        list[str] | None,
        typer.Option(
            "--tag", "-t", metavar="K:V", help="With this tag; '!K:V' without it.", autocompletion=complete_tag
        ),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="K:V", help="Without this tag.", autocompletion=complete_tag),
    ] = None,
    id_: Annotated[
        str, typer.Option("--id", metavar="PREFIX", help="Whose id begins so.", autocompletion=complete_data)
    ] = "",
    name: Annotated[str, typer.Option("--name", "-n", metavar="NAME", help="With the tag name:NAME.")] = "",
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="From then on: 2026-11-20, yesterday, 2h (ago).")
    ] = "",
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="Before then.")] = "",
    duration: Annotated[
        str, typer.Option("--duration", metavar="TIME", help="So long from --since, or up to --until or now.")
    ] = "",
    min_size: Annotated[str, typer.Option("--min-size", metavar="SIZE", help="At least so large: 10MB, 2GiB.")] = "",
    max_size: Annotated[str, typer.Option("--max-size", metavar="SIZE", help="At most so large.")] = "",
    creator: Annotated[str, typer.Option("--creator", metavar="USER", help="Made by this user.")] = "",
    run: Annotated[str, typer.Option("--run", metavar="ID", help="Made by this run.")] = "",
    transient: Annotated[
        str,
        typer.Option(
            "--transient", metavar="STATE", help="processing, failed, purged; yes for any of them, no for none."
        ),
    ] = "",
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="FIELD=EXPR",
            help=f"Such as size=>10MB or created=2026-11-20; fields: {', '.join(DATA_FIELDS)}.",
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
    """The data that meet every condition, newest first."""
    is_table = not (quiet or session.json)
    most = parse_limit(limit, "--limit") if limit else TABLE_LIMIT if is_table else None
    begin, end = parse_period(since, until, duration)

    def ask(workspace: AnyWorkspace, *state: str) -> list[Data]:
        return workspace.find(
            *(tags or ()),
            *state,
            without=without or (),
            id=id_,
            name=name,
            since=begin,
            until=end,
            min_size=parse_size(min_size, "--min-size") if min_size else None,
            max_size=parse_size(max_size, "--max-size") if max_size else None,
            creator=creator,
            upstream_run=run,
            filters=by_field(filters or (), "="),
            oldest_first=oldest_first,
            limit=None if most is None else most + 1,
        )

    choices = _states(transient)
    with session.open() as workspace:
        found = [data for states in choices for data in ask(workspace, *states)]
    if len(choices) > 1:
        found.sort(key=lambda data: data.id, reverse=not oldest_first)
    _show(session, found[:most], quiet)
    if is_table and most is not None and len(found) > most:
        session.out.note(f"There are more than these {most}; --limit all shows them.")


def _show(session: Session, found: list[Data], quiet: bool) -> None:
    if session.json:
        session.out.json([data_record(data) for data in found])
    elif quiet:
        session.out.lines(data.id for data in found)
    elif found:
        short = short_ids(data.id for data in found)
        session.out.table(COLUMNS, [_row(data, short[data.id]) for data in found])
    else:
        session.out.note("Nothing meets these conditions.")


def _row(data: Data, short: str) -> list[str]:
    tags = [str(tag) for tag in data.tags if tag.key != "name" or tag.value != data.name]
    return [
        short,
        data.name,
        "" if data.status == "done" else data.status,
        " ".join(tags),
        show_size(data.tree.size),
        f"{data.tree.files:,}",
        show_local(data.timestamp or data.created),
    ]


def _states(transient: str) -> list[tuple[str, ...]]:
    """The system tags to ask for; more than one item means any of them."""
    if not transient:
        return [()]
    word = transient.strip().lower()
    if word in UNUSABLE:
        return [(f"raykqi#transient:{word}",)]
    if word == "yes":
        return [(f"raykqi#transient:{state}",) for state in UNUSABLE]
    if word == "no":
        return [tuple(f"!raykqi#transient:{state}" for state in UNUSABLE)]
    raise InvalidInput(
        f"--transient {transient!r} is no state", hint=f"It is one of {', '.join(UNUSABLE)}, yes and no."
    )
