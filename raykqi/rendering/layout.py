"""Where every node and edge of a graph is drawn: columns from left to right, one part of the graph below the other.

Knows sizes and links and nothing of lineage. No recursion anywhere, so depth costs only time.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from raykqi.rendering.coordinates import settle
from raykqi.rendering.layering import Link, layer
from raykqi.rendering.ordering import arrange

__all__ = ["Box", "Layout", "Point", "lay_out"]

COLUMN_GAP, STEEP_GAP, STEEPNESS = 92.0, 240.0, 0.2
ROW_GAP = 22.0
PART_GAP = 48.0
BEND_HEIGHT = 14.0


class Point(NamedTuple):
    x: float
    y: float


class Box(NamedTuple):
    """The size of a node; `parity` 0 or 1 keeps two kinds in columns of their own."""

    width: float
    height: float
    parity: int


class Layout(NamedTuple):
    """`places` are the upper left corners, `widths` those of the columns: all of a column are equally broad.

    `routes[e]` are the points of link e: out of a node, in and out of each column passed, into the next node.
    """

    places: list[Point]
    widths: list[float]
    routes: list[list[Point]]
    width: float
    height: float


def lay_out(boxes: Sequence[Box], links: Sequence[Link]) -> Layout:
    places = [Point(0.0, 0.0)] * len(boxes)
    widths = [0.0] * len(boxes)
    routes: list[list[Point]] = [[] for _ in links]
    width = top = 0.0
    for nodes, edges in _parts(len(boxes), links):
        local = {node: index for index, node in enumerate(nodes)}
        part = _lay_out_part(
            [boxes[node] for node in nodes], [(local[links[edge][0]], local[links[edge][1]]) for edge in edges]
        )
        for node, (x, y), broad in zip(nodes, part.places, part.widths, strict=True):
            places[node], widths[node] = Point(x, y + top), broad
        for edge, route in zip(edges, part.routes, strict=True):
            routes[edge] = [Point(x, y + top) for x, y in route]
        width = max(width, part.width)
        top += part.height + PART_GAP
    return Layout(places, widths, routes, width, max(0.0, top - PART_GAP))


def _parts(count: int, links: Sequence[Link]) -> list[tuple[list[int], list[int]]]:
    """The connected parts: their nodes and their links, each in the order given."""
    beside: list[list[int]] = [[] for _ in range(count)]
    for source, target in links:
        beside[source].append(target)
        beside[target].append(source)
    part_of = [-1] * count
    parts: list[tuple[list[int], list[int]]] = []
    for start in range(count):
        if part_of[start] >= 0:
            continue
        part_of[start] = len(parts)
        waiting = [start]
        while waiting:
            for other in beside[waiting.pop()]:
                if part_of[other] < 0:
                    part_of[other] = len(parts)
                    waiting.append(other)
        parts.append(([], []))
    for node in range(count):
        parts[part_of[node]][0].append(node)
    for edge, (source, _) in enumerate(links):
        parts[part_of[source]][1].append(edge)
    return parts


def _lay_out_part(boxes: Sequence[Box], links: Sequence[Link]) -> Layout:
    columns, chains = layer(len(boxes), links, [box.parity for box in boxes])
    columns = arrange(columns, chains)
    bends = sum(map(len, columns)) - len(boxes)
    heights = [box.height for box in boxes] + [BEND_HEIGHT] * bends
    middle = settle(columns, chains, heights, nodes=len(boxes), gap=ROW_GAP)
    top = min((middle[node] - heights[node] / 2 for node in range(len(heights))), default=0.0)
    bottom = max((middle[node] + heights[node] / 2 for node in range(len(heights))), default=0.0)

    left = [0.0] * len(heights)
    right = [0.0] * len(heights)
    widest = 0.0
    for column, gap in zip(columns, _gaps(columns, chains, middle), strict=True):
        broadest = max(boxes[node].width for node in column if node < len(boxes))
        for node in column:
            left[node], right[node] = widest, widest + broadest
        widest += broadest + gap

    def route(chain: Sequence[int]) -> list[Point]:
        ends = [(Point(left[node], middle[node] - top), Point(right[node], middle[node] - top)) for node in chain]
        return [point for pair in ends for point in pair][1:-1]

    nodes = range(len(boxes))
    places = [Point(left[node], middle[node] - heights[node] / 2 - top) for node in nodes]
    widths = [right[node] - left[node] for node in nodes]
    return Layout(places, widths, [route(chain) for chain in chains], widest, bottom - top)


def _gaps(columns: Sequence[Sequence[int]], chains: Sequence[Sequence[int]], middle: Sequence[float]) -> list[float]:
    """The room to the right of each column: more where edges climb far, none after the last."""
    level = {node: index for index, column in enumerate(columns) for node in column}
    climb = [0.0] * len(columns)
    for chain in chains:
        for one, other in pairwise(chain):
            climb[level[one]] = max(climb[level[one]], abs(middle[other] - middle[one]))
    gaps = [min(STEEP_GAP, max(COLUMN_GAP, height * STEEPNESS)) for height in climb]
    return [*gaps[:-1], 0.0]
