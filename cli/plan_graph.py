"""`raykqi plan graph`: which plans feed which."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.command import command
from cli.completion import complete_plan
from cli.session import Session
from raykqi.errors import InvalidInput
from raykqi.rendering.drawing import format_of

__all__ = ["register"]

FORMATS = "text, json, dot, mermaid, svg"


def register(app: typer.Typer) -> None:
    command(
        app,
        "graph",
        examples="""
        raykqi plan graph
        raykqi plan graph train -o plans.svg
        raykqi plan graph --format mermaid
        """,
    )(graph)


def graph(
    session: Session,
    plan: Annotated[
        str,
        typer.Argument(
            metavar="[PLAN]",
            help="Only what feeds it and what it feeds, however far; by id or name.",
            autocompletion=complete_plan,
            show_default=False,
        ),
    ] = "",
    format_: Annotated[
        str, typer.Option("--format", "-f", metavar="FORMAT", help=f"One of {FORMATS}.", show_default=False)
    ] = "",
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write there; its ending tells the format."),
    ] = None,
) -> None:
    """Which plans feed which: what one makes, the next takes."""
    from raykqi.rendering.plan_flow import draw_plans

    with session.open() as workspace:
        flow = workspace.plan_graph(plan or None)
    wanted = format_ or (format_of(output) if output else "json" if session.json else "text")
    drawn = draw_plans(flow, wanted)
    if output is None:
        if wanted == "text":
            session.out.line(drawn or "There are no plans.")
        else:
            session.out.text(drawn)
        return
    try:
        Path(output).write_text(drawn, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{output!r} cannot be written: {error.strerror}", hint="Choose another file.") from error
    session.out.note(f"Written to {output}.")
