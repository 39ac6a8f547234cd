"""A lineage in each of the forms that the command line offers."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from cli.session import Session
from cli.table import Column
from cli.values import short_ids, show_local
from raykqi.errors import InvalidInput
from raykqi.rendering import drawing
from raykqi.rendering.table import DifferenceRow, Row, ancestries_to_rows, to_rows

if TYPE_CHECKING:
    from raykqi.domain.lineage import Ancestries, DataNode, Lineage

__all__ = ["FORMATS", "as_text", "format_for", "show_difference", "show_lineage", "show_path"]

FORMATS = ("table", *drawing.FORMATS)
LINEAGE_COLUMNS = (
    Column("", style="dim"),
    Column("ID", style="cyan"),
    Column("WHAT", least=12, style="bold"),
    Column("AS", least=6, weight=1),
    Column("STATE", least=10, weight=3),
    Column("TAGS", least=10, weight=2),
)
DIFFERENCE_COLUMNS = (
    Column("ONLY IN", style="dim"),
    Column("", style="dim"),
    Column("ID", style="cyan"),
    Column("WHAT", least=12, style="bold"),
    Column("STATE", weight=1),
)
ARROWS = {"start": "●", "upstream": "↑", "downstream": "↓", "beside": "·"}
PLAIN_ARROWS = {"start": "*", "upstream": "^", "downstream": "v", "beside": "."}


def format_for(given: str | None, output: str | None, json_wanted: bool) -> str:
    """The format that was named, else what the file's ending tells, else a table, which no file is given."""
    if given is not None:
        if given.strip().lower() not in FORMATS:
            raise InvalidInput(f"there is no format {given!r}", hint=f"It is one of {', '.join(FORMATS)}.")
        if output is not None and given.strip().lower() == "table":
            raise InvalidInput("a table is not written to a file", hint="Give another --format, or redirect stdout.")
        return given.strip().lower()
    if output is None:
        return "json" if json_wanted else "table"
    return drawing.format_of(output)


def as_text(lineage: Lineage, format_: str, url: str) -> str:
    """`url` names the workspace: it is the namespace of OpenLineage events."""
    text = drawing.draw(lineage, format_, namespace=url)
    return f"{text}\n" if format_ == "text" else text


def show_lineage(session: Session, lineage: Lineage) -> None:
    data = {node.id: node for node in lineage.data}
    session.out.table(LINEAGE_COLUMNS, [_row(row, data.get(row.id), session) for row in to_rows(lineage)])
    if lineage.cut:
        session.out.note("… more lies beyond: --depth all shows it.")


def show_path(session: Session, lineage: Lineage) -> None:
    """One node a row, from the ancestor down."""
    data = {node.id: node for node in lineage.data}
    met = {row.id: row for row in reversed(to_rows(lineage)) if not row.again}
    way = lineage.path(lineage.start[0], lineage.start[-1])
    names = ["", *(_edge_name(lineage, one, other) for one, other in pairwise(way))]
    steps = [
        msgspec.structs.replace(met[id_], direction="downstream" if place else "start", depth=0, via=name)
        for place, (id_, name) in enumerate(zip(way, names, strict=True))
    ]
    session.out.table(LINEAGE_COLUMNS, [_row(row, data.get(row.id), session) for row in steps])


def show_difference(session: Session, found: Ancestries) -> None:
    if session.json:
        from raykqi.rendering.records import ancestries_to_json

        session.out.json(ancestries_to_json(found))
        return
    rows = [row for row in ancestries_to_rows(found) if row.side != "both"]
    short = short_ids([found.left, found.right, *(row.id for row in rows)])
    if rows:
        session.out.table(DIFFERENCE_COLUMNS, [_difference(row, found, short) for row in rows])
    session.out.line(f"{len(found.shared):,} data are in both ancestries.")


def _edge_name(lineage: Lineage, source: str, target: str) -> str:
    return next(edge.name for edge in lineage.edges if (edge.source, edge.target) == (source, target))


def _row(row: Row, node: DataNode | None, session: Session) -> list[str]:
    arrows = ARROWS if session.out.draws else PLAIN_ARROWS
    indent = "  " * (row.depth - 1) if row.depth else ""
    more = (" …" if session.out.draws else " ...") if row.cut and not row.again else ""
    title = f"{row.title}{more}"
    if row.again:
        return [f"{indent}{arrows[row.direction]} {row.kind}", row.short, title, row.via, "shown above", ""]
    state = row.state if node is None else _state(node)
    return [f"{indent}{arrows[row.direction]} {row.kind}", row.short, title, row.via, state, " ".join(row.tags)]


def _state(node: DataNode) -> str:
    """As `raykqi data find` shows it: in local time."""
    if stone := node.tombstone:
        return f"{stone.kind} {show_local(stone.at)} by {stone.by}: {stone.reason}"
    return show_local(node.timestamp or node.created) if node.status == "done" else node.status


def _difference(row: DifferenceRow, found: Ancestries, short: dict[str, str]) -> list[str]:
    side = short[found.left if row.side == "left" else found.right]
    return [side, row.kind, short[row.id], row.title, row.state]
