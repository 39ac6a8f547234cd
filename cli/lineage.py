"""`raykqi lineage`: where data came from and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from cli.command import command, noun
from cli.completion import complete_data
from cli.lineage_endpoints import show_affected
from cli.lineage_text import FORMATS, as_text, format_for, show_difference, show_lineage, show_path
from cli.session import Session
from cli.values import parse_limit, parse_moment, show_count
from raykqi.domain.lineage import Lineage
from raykqi.errors import InvalidInput

__all__ = ["app"]

NodeId = Annotated[
    str,
    typer.Argument(metavar="ID", help="An id of data or a run, or its beginning.", autocompletion=complete_data),
]
Format = Annotated[
    str | None,
    typer.Option("--format", "-f", metavar="FORMAT", help=f"One of {', '.join(FORMATS)}.", show_default=False),
]
File = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help="Write there; its ending tells the format.", show_default=False
    ),
]

app = noun("See where data came from and what came of it.")


@command(
    app,
    "show",
    examples="""
    raykqi lineage show 01939c1c-7d1e
    raykqi lineage show 01939c1c-7d1e --upstream -n all -o lineage.svg
    raykqi lineage show 01939c1c-7d1e --as-of yesterday --format mermaid
    """,
)
def show(
    session: Session,
    node: NodeId,
    upstream: Annotated[bool, typer.Option("--upstream", "-u", help="Only what it came from.")] = False,
    downstream: Annotated[bool, typer.Option("--downstream", "-d", help="Only what came of it.")] = False,
    depth: Annotated[str, typer.Option("--depth", "-n", metavar="N", help="So many generations, or all.")] = "3",
    siblings: Annotated[bool, typer.Option("--siblings", help="Other inputs and outputs of the runs too.")] = False,
    as_of: Annotated[
        str, typer.Option("--as-of", metavar="TIME", help="As it stood then: 2026-11-20T18:30, 2h (ago).")
    ] = "",
    format_: Format = None,
    output: File = None,
) -> None:
    """Both ways, three generations far, unless told otherwise."""
    chosen = format_for(format_, output, session.json)
    way: Literal["up", "down", "both"] = "both" if upstream == downstream else "up" if upstream else "down"
    moment = parse_moment(as_of, "--as-of") if as_of else None
    with session.open() as workspace:
        found = workspace.lineage(node, way=way, depth=parse_limit(depth, "--depth"), siblings=siblings, as_of=moment)
        url = workspace.url
    _deliver(session, found, chosen, output, url)


@command(
    app,
    "path",
    examples="""
    raykqi lineage path 01939c1c-7d1e 0193a5f0-11aa
    """,
)
def path(session: Session, ancestor: NodeId, descendant: NodeId, format_: Format = None, output: File = None) -> None:
    """The shortest way from one to what came of it; exit with 1 when there is none."""
    chosen = format_for(format_, output, session.json)
    with session.open() as workspace:
        found = workspace.path(ancestor, descendant)
        url = workspace.url
        if not found.edges and found.start[0] != found.start[-1]:
            source, target = found.start
            backwards = bool(workspace.path(target, source).edges)
            if session.json:
                session.out.json(None)
            session.out.complain(
                f"{target} did not come of {source}" + ("; it is the other way round" if backwards else "")
            )
            raise typer.Exit(1)
    if chosen == "table":
        show_path(session, found)
    else:
        _deliver(session, found, chosen, output, url)


@command(
    app,
    "impact",
    examples="""
    raykqi lineage impact 01939c1c-7d1e
    raykqi lineage impact 01939c1c-7d1e --endpoints
    raykqi lineage impact 01939c1c-7d1e --pull --reason 'labels were swapped'
    """,
)
def impact(
    session: Session,
    node: NodeId,
    format_: Format = None,
    output: File = None,
    endpoints: Annotated[
        bool, typer.Option("--endpoints", help="Only the endpoints that answer with what came of it, or did.")
    ] = False,
    pull: Annotated[bool, typer.Option("--pull", help="Pause the endpoints that answer with it now.")] = False,
    reason: Annotated[str, typer.Option("--reason", "-r", metavar="TEXT", help="Why they are paused.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Pause them without asking.")] = False,
) -> None:
    """Everything that came of a data or run, however far."""
    if endpoints or pull:
        show_affected(session, node, pull=pull, reason=reason, yes=yes)
        return
    chosen = format_for(format_, output, session.json)
    with session.open() as workspace:
        found = workspace.impact(node)
        url = workspace.url
    _deliver(session, found, chosen, output, url)
    if chosen == "table":
        runs, data = len(found.runs), len(found.data)
        own = {item.id for item in found.data} & set(found.start)
        served = f"; {show_count(len(found.endpoints), 'endpoint')} served it" if found.endpoints else ""
        came = f"{data - len(own):,} data and {show_count(runs - (not own), 'run')} came of it"
        session.out.note(f"{came}{served}.")


@command(
    app,
    "diff",
    examples="""
    raykqi lineage diff 01939c1c-7d1e 0193a5f0-11aa
    """,
)
def diff(session: Session, left: NodeId, right: NodeId) -> None:
    """Which ancestors only one of two has."""
    with session.open() as workspace:
        found = workspace.compare(left, right)
    show_difference(session, found)


def _deliver(session: Session, found: Lineage, format_: str, output: str | None, url: str) -> None:
    if format_ == "table":
        show_lineage(session, found)
        return
    text = as_text(found, format_, url)
    if output is None:
        session.out.text(text)
        return
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{output!r} cannot be written: {error.strerror}", hint="Choose another file.") from error
    session.out.note(f"Written to {output}.")
