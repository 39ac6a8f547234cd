"""A lineage as an indented text, for a terminal that is given no width and no colours."""

from __future__ import annotations

from raykqi.domain.lineage import Lineage
from raykqi.rendering.table import Direction, Row, to_rows

__all__ = ["to_text"]

_MARKS = {"data": "●", "run": "▶", "endpoint": "◆"}

_HEADINGS: dict[Direction, str] = {"upstream": "came from", "downstream": "came of it", "beside": "beside it"}


def to_text(lineage: Lineage) -> str:
    lines: list[str] = []
    direction: Direction = "start"
    for row in to_rows(lineage):
        if row.direction != direction:
            direction = row.direction
            lines.append(f"{_HEADINGS[direction]}:")
        lines.append("  " * row.depth + _words(row))
    return "\n".join(lines)


def _words(row: Row) -> str:
    words = [row.via and f"{row.via} ←", _MARKS[row.kind], row.title, row.short, f"({row.state})"]
    if row.again:
        words.append("(see above)")
    else:
        words += row.tags
    if row.cut:
        words.append("… more beyond")
    return " ".join(word for word in words if word)
