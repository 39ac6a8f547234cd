"""The order of nodes within their columns, so that few edges cross.

Barycentre sweeps from left to right and back, then neighbours change places where that helps.
The best order seen is kept. Everything is deterministic: ties keep the order they had.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence
from itertools import pairwise

__all__ = ["arrange", "crossings"]

_SWEEP_EFFORT = 600_000
_SWAP_LIMIT = 400


def arrange(columns: Sequence[Sequence[int]], chains: Iterable[Sequence[int]]) -> list[list[int]]:
    """The columns, each in its best order found."""
    left: dict[int, list[int]] = {node: [] for column in columns for node in column}
    right: dict[int, list[int]] = {node: [] for column in columns for node in column}
    neighbours = 0
    level = {node: index for index, column in enumerate(columns) for node in column}
    for chain in chains:
        for one, other in pairwise(chain):
            if level[other] == level[one] + 1:
                right[one].append(other)
                left[other].append(one)
                neighbours += 1
    best = _first_order(columns, left, right)
    fewest = crossings(best, right)
    current = [list(column) for column in best]
    for sweep in range(max(4, min(24, _SWEEP_EFFORT // (neighbours + len(level) + 1)))):
        if not fewest:
            break
        _sweep(current, left if sweep % 2 == 0 else right, forward=sweep % 2 == 0)
        if len(level) <= _SWAP_LIMIT:
            _swap_neighbours(current, left, right)
        found = crossings(current, right)
        if found < fewest:
            best, fewest = [list(column) for column in current], found
    return best


def crossings(columns: Sequence[Sequence[int]], right: dict[int, list[int]]) -> int:
    """How many pairs of edges between neighbouring columns cross."""
    total = 0
    for column, following in pairwise(columns):
        place = {node: index for index, node in enumerate(following)}
        seen: list[int] = []
        for node in column:
            ends = sorted(place[target] for target in right[node])
            total += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return total


def _first_order(
    columns: Sequence[Sequence[int]], left: dict[int, list[int]], right: dict[int, list[int]]
) -> list[list[int]]:
    """As a walk in depth from the left meets them: what belongs together comes together."""
    met: dict[int, int] = {}
    for start in (node for column in columns for node in column if not left[node]):
        waiting = [start]
        while waiting:
            node = waiting.pop()
            if node not in met:
                met[node] = len(met)
                waiting += reversed(right[node])
    return [sorted(column, key=lambda node: met.get(node, len(met))) for column in columns]


def _sweep(columns: list[list[int]], towards: dict[int, list[int]], *, forward: bool) -> None:
    levels = range(1, len(columns)) if forward else range(len(columns) - 2, -1, -1)
    for level in levels:
        fixed = {node: index for index, node in enumerate(columns[level - 1 if forward else level + 1])}
        scale = len(fixed) / max(1, len(columns[level]))
        centre = {
            node: sum(fixed[other] for other in towards[node]) / len(towards[node]) if towards[node] else index * scale
            for index, node in enumerate(columns[level])
        }
        columns[level].sort(key=centre.__getitem__)


def _swap_neighbours(columns: list[list[int]], left: dict[int, list[int]], right: dict[int, list[int]]) -> None:
    places = [{node: index for index, node in enumerate(column)} for column in columns]
    nowhere: dict[int, int] = {}
    for level, column in enumerate(columns):
        before = places[level - 1] if level else nowhere
        after = places[level + 1] if level + 1 < len(columns) else nowhere
        for index in range(len(column) - 1):
            upper, lower = column[index], column[index + 1]
            gain = _cross(left[upper], left[lower], before) + _cross(right[upper], right[lower], after)
            loss = _cross(left[lower], left[upper], before) + _cross(right[lower], right[upper], after)
            if loss < gain:
                column[index], column[index + 1] = lower, upper
                places[level][lower], places[level][upper] = index, index + 1


def _cross(upper: list[int], lower: list[int], place: dict[int, int]) -> int:
    return sum(place[one] > place[other] for one in upper for other in lower)
