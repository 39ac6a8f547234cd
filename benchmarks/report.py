"""What every benchmark prints: a table for people, then one JSON object as the last line."""

from __future__ import annotations

import json
from typing import NamedTuple

__all__ = ["Figure", "report"]


class Figure(NamedTuple):
    key: str
    value: float
    bound: str  # such as "≤ 20 ms"
    what: str


def report(title: str, figures: list[Figure]) -> None:
    print(f"\n{title}")
    width = max(len(figure.what) for figure in figures)
    for figure in figures:
        shown = f"{figure.value:,.0f}" if figure.value >= 1000 else f"{figure.value:.3g}"
        print(f"  {figure.what:<{width}}  {shown:>10}   must reach {figure.bound}")
    print(json.dumps({figure.key: round(figure.value, 4) for figure in figures}))
