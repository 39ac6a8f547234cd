"""A lineage as rows for a terminal: first what was asked for, then its past, then its future.

Each direction is a tree cut out of the graph: a node is shown in full where it is met first, and as
`again` where it is met later. Nodes beside the way (other outputs of a run on it) come last.
Plain values; how they are printed is not decided here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from raykqi.domain.lineage import Ancestries, EndpointNode, Lineage, Node, RunNode, Stub
from raykqi.rendering.labels import nodes_of, other_tags, short_ids, state_of, title_of
from raykqi.rendering.text import clean

__all__ = ["DifferenceRow", "Direction", "Row", "ancestries_to_rows", "to_rows"]

Kind = Literal["data", "run", "endpoint"]
Direction = Literal["start", "upstream", "downstream", "beside"]


class Row(msgspec.Struct, frozen=True):
    """`depth` counts edges from the start; `via` is the input, output or revision that led here."""

    direction: Direction
    depth: int
    kind: Kind
    id: str
    short: str
    title: str
    state: str
    tags: tuple[str, ...] = ()
    via: str = ""
    again: bool = False
    cut: bool = False


class DifferenceRow(msgspec.Struct, frozen=True):
    side: Literal["left", "right", "both"]
    kind: Kind
    id: str
    title: str
    state: str


def to_rows(lineage: Lineage) -> list[Row]:
    nodes = {node.id: node for node in nodes_of(lineage)}
    short = short_ids(lineage)
    cut = set(lineage.cut)
    shown: set[str] = set()

    def row(node: str, direction: Direction, depth: int, via: str = "", *, again: bool = False) -> Row:
        shown.add(node)
        kind, title, state, tags = _words(nodes[node])
        return Row(direction, depth, kind, node, short[node], title, state, tags, clean(via), again, node in cut)

    start = [node for node in dict.fromkeys(lineage.start) if node in nodes]
    rows = [row(node, "start", 0) for node in start]
    directions: tuple[Direction, Direction] = ("upstream", "downstream")
    for direction in directions:
        rows += [
            row(node, direction, depth, via, again=again)
            for node, depth, via, again in _walk(start, _neighbours(lineage, direction))
        ]
    return rows + [row(node, "beside", 0) for node in nodes if node not in shown]


def ancestries_to_rows(ancestries: Ancestries) -> list[DifferenceRow]:
    """What only the left has, then what only the right has, then what they share."""
    sides: tuple[tuple[Literal["left", "right", "both"], tuple[Node, ...]], ...] = (
        ("left", (*ancestries.only_left, *ancestries.runs_only_left, *ancestries.stubs_only_left)),
        ("right", (*ancestries.only_right, *ancestries.runs_only_right, *ancestries.stubs_only_right)),
        ("both", (*ancestries.shared, *ancestries.stubs_shared)),
    )
    return [
        DifferenceRow(side, kind, node.id, title, state)
        for side, nodes in sides
        for node in nodes
        for kind, title, state, _ in [_words(node)]
    ]


def _words(node: Node) -> tuple[Kind, str, str, tuple[str, ...]]:
    if isinstance(node, Stub):
        return node.kind, node.shown, "hidden", ()
    if isinstance(node, EndpointNode):
        return "endpoint", clean(node.name), node.status, ()
    if isinstance(node, RunNode):
        return "run", clean(node.shown), node.status, ()
    return "data", title_of(node), state_of(node), tuple(clean(str(tag)) for tag in other_tags(node))


def _neighbours(lineage: Lineage, direction: Direction) -> dict[str, list[tuple[str, str]]]:
    known = {node.id for node in nodes_of(lineage)}
    beyond: dict[str, list[tuple[str, str]]] = {}
    for edge in lineage.edges:
        here, there = (edge.target, edge.source) if direction == "upstream" else (edge.source, edge.target)
        if there in known:
            beyond.setdefault(here, []).append((there, edge.name))
    return beyond


def _walk(start: list[str], beyond: dict[str, list[tuple[str, str]]]) -> Iterator[tuple[str, int, str, bool]]:
    """In depth and in order, without recursion; each node is followed once."""
    followed = set(start)
    waiting = [(node, 1, via) for origin in reversed(start) for node, via in reversed(beyond.get(origin, []))]
    while waiting:
        node, depth, via = waiting.pop()
        again = node in followed
        yield node, depth, via, again
        if not again:
            followed.add(node)
            waiting += [(other, depth + 1, name) for other, name in reversed(beyond.get(node, []))]
