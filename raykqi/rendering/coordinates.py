"""How high each node of a column stands: as close to its neighbours as the others of its column let it.

For one column with the others fixed this is a weighted isotonic regression, solved exactly by
pooling adjacent violators; sweeps over the columns bring the whole picture to rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import inf

__all__ = ["settle"]

_SWEEP_EFFORT = 1_500_000
_AT_REST = 0.25

# A bend between two bends pulls hardest: long edges run straight.
_REAL, _MIXED, _BENDS = 1.0, 2.0, 8.0


def settle(
    columns: Sequence[Sequence[int]],
    chains: Sequence[Sequence[int]],
    heights: Sequence[float],
    *,
    nodes: int,
    gap: float,
) -> list[float]:
    """The middle of every node and bend; `heights` holds both, and what is not below `nodes` is a bend."""
    pulls: list[list[tuple[int, float]]] = [[] for _ in heights]
    for chain in chains:
        for one, other in pairwise(chain):
            strength = (_REAL, _MIXED, _BENDS)[(one >= nodes) + (other >= nodes)]
            pulls[one].append((other, strength))
            pulls[other].append((one, strength))
    offsets = [_offsets(column, heights, nodes, gap) for column in columns]
    middle = [0.0] * len(heights)
    for column, offset in zip(columns, offsets, strict=True):
        for node, below in zip(column, offset, strict=True):
            middle[node] = below - offset[-1] / 2
    effort = len(heights) + sum(map(len, pulls))
    for sweep in range(max(6, min(60, _SWEEP_EFFORT // (effort + 1)))):
        levels = range(len(columns)) if sweep % 2 == 0 else range(len(columns) - 1, -1, -1)
        moved = max((_pool(columns[level], offsets[level], pulls, middle) for level in levels), default=0.0)
        if moved < _AT_REST:
            break
    _straighten(columns, offsets, chains, middle)
    return middle


def _straighten(
    columns: Sequence[Sequence[int]],
    offsets: Sequence[Sequence[float]],
    chains: Sequence[Sequence[int]],
    middle: list[float],
) -> None:
    """Puts all bends of an edge on one level where their neighbours leave the room."""
    place = {node: (level, index) for level, column in enumerate(columns) for index, node in enumerate(column)}
    for chain in chains:
        bends = chain[1:-1]
        if len(bends) < 2:
            continue
        highest, lowest = -inf, inf
        for bend in bends:
            level, index = place[bend]
            column, offset = columns[level], offsets[level]
            if index:
                highest = max(highest, middle[column[index - 1]] + offset[index] - offset[index - 1])
            if index + 1 < len(column):
                lowest = min(lowest, middle[column[index + 1]] - offset[index + 1] + offset[index])
        if highest <= lowest:
            mean = sum(middle[bend] for bend in bends) / len(bends)
            level_line = min(lowest, max(highest, mean))
            for bend in bends:
                middle[bend] = level_line


def _offsets(column: Sequence[int], heights: Sequence[float], nodes: int, gap: float) -> list[float]:
    """How far each of a column must at least stand below the first."""
    offset = [0.0]
    for upper, lower in pairwise(column):
        room = gap if upper < nodes and lower < nodes else gap / 2
        offset.append(offset[-1] + (heights[upper] + heights[lower]) / 2 + room)
    return offset


def _pool(
    column: Sequence[int], offset: Sequence[float], pulls: Sequence[list[tuple[int, float]]], middle: list[float]
) -> float:
    """Moves a column to its best place; returns the longest move."""
    blocks: list[tuple[float, float, int]] = []
    for node, below in zip(column, offset, strict=True):
        weight = sum(strength for _, strength in pulls[node])
        wished = sum(middle[other] * strength for other, strength in pulls[node]) / weight if weight else middle[node]
        weight = weight or _REAL / 100
        mean, size = wished - below, 1
        while blocks and blocks[-1][0] > mean:
            above, heavy, members = blocks.pop()
            mean = (above * heavy + mean * weight) / (heavy + weight)
            weight, size = heavy + weight, size + members
        blocks.append((mean, weight, size))
    longest = 0.0
    index = 0
    for mean, _, size in blocks:
        for node, below in zip(column[index : index + size], offset[index : index + size], strict=True):
            longest = max(longest, abs(middle[node] - mean - below))
            middle[node] = mean + below
        index += size
    return longest
