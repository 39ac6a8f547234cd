"""A table in plain text, in terminal columns: wide characters align, and a narrow terminal gets less.

Cells that may shrink are cut with an ellipsis, the widest first. When that is not enough, whole
columns are left out, those of the lowest `weight` first; without a width nothing is cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from raykqi.rendering.text import columns as width_of

__all__ = ["Column", "cut", "lay_out"]

GAP = "  "


class Column(NamedTuple):
    """`least`: the width it may shrink to; 0 means never. `weight`: 0 means never left out."""

    title: str
    right: bool = False
    least: int = 0
    weight: int = 0
    style: str = ""


def lay_out(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None
) -> Iterator[list[tuple[str, Column]]]:
    """Header and rows as padded cells, each with its column."""
    used = [at for at, column in enumerate(columns) if any(row[at] for row in rows) or not column.weight]
    natural = [max([width_of(columns[at].title), *(width_of(row[at]) for row in rows)]) for at in used]
    widths = natural
    while width is not None:
        widths = _shrink([columns[at] for at in used], natural, width)
        if _total(widths) <= width or not (spare := _lightest(columns, used)):
            break
        natural = [size for at, size in zip(used, natural, strict=True) if at != spare]
        used = [at for at in used if at != spare]
    for row in ([column.title for column in columns], *rows):
        yield [
            (_pad(cut(row[at], size), size, columns[at].right, last=at == used[-1]), columns[at])
            for at, size in zip(used, widths, strict=True)
        ]


def cut(text: str, width: int) -> str:
    """The text if it fits into so many terminal columns, else its beginning and an ellipsis."""
    if width_of(text) <= width:
        return text
    room, kept = width - 1, 0
    for char in text:
        room -= width_of(char)
        if room < 0:
            break
        kept += 1
    return text[:kept].rstrip() + "…"


def _shrink(columns: Sequence[Column], natural: Sequence[int], width: int) -> list[int]:
    widths = list(natural)
    while (excess := _total(widths) - width) > 0:
        able = [at for at, column in enumerate(columns) if column.least and widths[at] > column.least]
        if not able:
            break
        widest = max(able, key=lambda at: widths[at])
        others = [widths[at] for at in able if widths[at] < widths[widest]]
        floor = max([columns[widest].least, *others])
        widths[widest] = max(floor, widths[widest] - excess) if floor < widths[widest] else widths[widest] - 1
    return widths


def _lightest(columns: Sequence[Column], used: Sequence[int]) -> int | None:
    spare = [at for at in used if columns[at].weight]
    return min(spare, key=lambda at: columns[at].weight) if spare else None


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _pad(text: str, width: int, right: bool, *, last: bool) -> str:
    space = " " * (width - width_of(text))
    if right:
        return space + text
    return text if last else text + space
