"""Which column each node of a graph stands in, left to right, and the bends of edges that pass columns.

Columns follow the longest path and then close ranks: what nothing else holds back moves right,
next to what uses it. `parity` keeps data and runs in columns of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Layered", "Link", "layer"]

Link = tuple[int, int]


class Layered(NamedTuple):
    """Nodes are 0…n-1, bends follow. `chains[e]` is the way of edge e: source, bends, target; left to right."""

    columns: list[list[int]]
    chains: list[list[int]]


def layer(count: int, links: Sequence[Link], parity: Sequence[int]) -> Layered:
    order = _topological(count, links)
    place = {node: index for index, node in enumerate(order)}
    # Lineage has no cycles; of a damaged one, the links that go back are drawn but place nothing.
    onward = [(source, target) for source, target in links if place[source] < place[target]]
    column = _columns(order, onward, parity)
    rank = {level: index for index, level in enumerate(sorted(set(column)))}
    return _with_bends([rank[level] for level in column], links)


def _topological(count: int, links: Sequence[Link]) -> list[int]:
    following: list[list[int]] = [[] for _ in range(count)]
    waits_for = [0] * count
    for source, target in links:
        following[source].append(target)
        waits_for[target] += 1
    free = [node for node in range(count) if not waits_for[node]]
    done = [False] * count
    order: list[int] = []
    next_stuck = 0
    while len(order) < count:
        if not free:
            while done[next_stuck]:
                next_stuck += 1
            free.append(next_stuck)
        node = free.pop()
        if done[node]:
            continue
        done[node] = True
        order.append(node)
        for target in following[node]:
            waits_for[target] -= 1
            if not waits_for[target] and not done[target]:
                free.append(target)
    return order


def _columns(order: Sequence[int], links: Sequence[Link], parity: Sequence[int]) -> list[int]:
    before: list[list[int]] = [[] for _ in order]
    after: list[list[int]] = [[] for _ in order]
    for source, target in links:
        after[source].append(target)
        before[target].append(source)
    column = [0] * len(order)
    for node in order:
        level = max((column[source] + 1 for source in before[node]), default=0)
        column[node] = level + ((level ^ parity[node]) & 1)
    for node in reversed(order):
        if after[node] and len(before[node]) <= len(after[node]):
            level = min(column[target] for target in after[node]) - 1
            column[node] = max(column[node], level - ((level ^ parity[node]) & 1))
    return column


def _with_bends(column: Sequence[int], links: Sequence[Link]) -> Layered:
    columns: list[list[int]] = [[] for _ in range(max(column, default=-1) + 1)]
    for node, level in enumerate(column):
        columns[level].append(node)
    chains: list[list[int]] = [[source, target] for source, target in links]
    # Bends cost time and room; the few links that span a huge lineage go straight.
    budget = 4 * len(column) + 2000
    fresh = len(column)
    by_span = sorted(range(len(links)), key=lambda index: abs(column[links[index][1]] - column[links[index][0]]))
    for index in by_span:
        source, target = links[index]
        passed = range(column[source] + 1, column[target])
        budget -= len(passed)
        if budget < 0:
            break
        bends = list(range(fresh, fresh + len(passed)))
        fresh += len(passed)
        for level, bend in zip(passed, bends, strict=True):
            columns[level].append(bend)
        chains[index] = [source, *bends, target]
    return Layered(columns, chains)
