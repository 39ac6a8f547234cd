"""`raykqi plan find`: the plans that meet every condition."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cli.command import command
from cli.completion import complete_tag
from cli.plan_file import parse_pairs
from cli.plan_text import plan_record, show_runs, tags_of
from cli.run_text import show_age
from cli.session import Session
from cli.table import Column
from cli.values import parse_limit, short_ids
from raykqi.domain.filter_text import PLAN_FIELDS, by_field

if TYPE_CHECKING:
    from raykqi.domain.plan import Plan

__all__ = ["register"]

TABLE_LIMIT = 50
COLUMNS = (
    Column("ID", style="cyan"),
    Column("PLAN", least=12, style="bold"),
    Column("STATE", weight=5, style="yellow"),
    Column("TAKES", least=12, weight=3),
    Column("MAKES", least=12, weight=2),
    Column("RUNS", least=10, weight=4),
    Column("AGE", right=True, weight=1),
)


def register(app: typer.Typer) -> None:
    command(
        app,
        "find",
        examples="""
        raykqi plan find --active
        raykqi plan find --in-tag type:dataset --annotation owner=mika --json
        """,
    )(find)


def find(
    session: Session,
    active: Annotated[
        bool | None, typer.Option("--active/--inactive", help="Whose runs may start, or may not.", show_default=False)
    ] = None,
    name: Annotated[str, typer.Option("--name", "-n", metavar="NAME", help="Of this name.")] = "",
    image: Annotated[str, typer.Option("--image", metavar="IMAGE", help="That runs this image.")] = "",
    in_tags: Annotated[
        list[str] | None,
        typer.Option("--in-tag", metavar="K:V", help="An input wants it.", autocompletion=complete_tag),
    ] = None,
    out_tags: Annotated[
        list[str] | None,
        typer.Option("--out-tag", metavar="K:V", help="An output gets it.", autocompletion=complete_tag),
    ] = None,
    annotations: Annotated[
        list[str] | None, typer.Option("--annotation", metavar="K=V", help="It is annotated so.")
    ] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="FIELD=EXPR",
            help=f"Such as name=train or created=<2026-11-20; fields: {', '.join(PLAN_FIELDS)}.",
        ),
    ] = None,
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
    """The plans that meet every condition, newest first."""
    is_table = not (quiet or session.json)
    most = parse_limit(limit, "--limit") if limit else TABLE_LIMIT if is_table else None
    with session.open() as workspace:
        found = workspace.plans(
            active=active,
            name=name,
            image=image,
            in_tags=in_tags or (),
            out_tags=out_tags or (),
            annotations=parse_pairs(annotations or (), "--annotation"),
            filters=by_field(filters or (), "="),
            limit=None if most is None else most + 1,
        )
    shown = found[:most]
    if session.json:
        session.out.json([plan_record(plan) for plan in shown])
    elif quiet:
        session.out.lines(plan.id for plan in shown)
    elif shown:
        now, short = datetime.now(UTC), short_ids(plan.id for plan in shown)
        session.out.table(COLUMNS, [_row(plan, short[plan.id], now) for plan in shown])
        if len(found) > len(shown):
            session.out.note(f"There are more than these {most}; --limit all shows them.")
    else:
        session.out.note("No plan meets these conditions.")


def _row(plan: Plan, short: str, now: datetime) -> list[str]:
    state = "" if plan.settings.active else "inactive"
    if plan.settings.active and plan.held:
        state = f"held: {plan.held}"
    takes = " | ".join(" ".join(tags_of(each)) for each in plan.definition.inputs)
    makes = " | ".join(" ".join(tags_of(each)) for each in plan.definition.outputs)
    return [short, plan.title, state, takes, makes, show_runs(plan), show_age(plan.created, now)]
