"""Who made what of what, as arrays of numbers: lineage is walked here, not in SQL.

A recursive query costs hundreds of milliseconds on millions of edges however little it finds; these
arrays walk a thousand nodes in a few. They are filled once and follow the index by what was added.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from raykqi.catalog.index import Index

__all__ = ["Adjacency", "Reached"]

Numbers = npt.NDArray[np.int64]
Direction = Literal["up", "down"]
ALL = 1 << 60
MERGE_AT = 50_000


class Reached(NamedTuple):
    """Numbers of data and runs that a walk met, and of data behind which it stopped."""

    data: frozenset[int]
    runs: frozenset[int]
    cut: frozenset[int]


class _Neighbours:
    """For each number its neighbours: compressed rows, plus what came since they were made."""

    def __init__(self) -> None:
        self._starts: Numbers = np.zeros(1, dtype=np.int64)
        self._targets: Numbers = np.zeros(0, dtype=np.int64)
        self._since: dict[int, list[int]] = {}

    def fill(self, sources: Numbers, targets: Numbers, count: int) -> None:
        order = np.argsort(sources, kind="stable")
        self._targets = targets[order]
        self._starts = np.zeros(count + 2, dtype=np.int64)
        np.cumsum(np.bincount(sources, minlength=count + 1), out=self._starts[1:])
        self._since = {}

    def add(self, source: int, target: int) -> None:
        self._since.setdefault(source, []).append(target)

    def of(self, number: int) -> Sequence[int]:
        since = self._since.get(number, [])
        if number + 1 >= len(self._starts):
            return since
        start, end = self._starts[number], self._starts[number + 1]
        return [*self._targets[start:end].tolist(), *since] if end > start else since


_DATA = "SELECT number, run FROM data WHERE number > ? AND number <= ?"
_INPUTS = "SELECT run, data FROM run_input WHERE run > ? AND run <= ?"


class Adjacency:
    """The whole lineage of one index. Safe to use from many threads."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._lock = threading.Lock()
        self._runs_seen = self._data_seen = self._merged_at = 0
        self._maker: Numbers = np.zeros(1, dtype=np.int64)
        self._maker_since: dict[int, int] = {}
        self._inputs, self._consumers, self._outputs = _Neighbours(), _Neighbours(), _Neighbours()

    def follow(self) -> None:
        """Take in what the index has that the arrays have not."""
        with self._lock:
            position = self._index.position()
            if position.runs < self._runs_seen or position.data < self._data_seen:
                self._runs_seen = self._data_seen = self._merged_at = 0
            grown = position.runs + position.data - self._merged_at
            if self._merged_at == 0 or grown > MERGE_AT:
                self._fill(position.runs, position.data)
            elif position.runs > self._runs_seen or position.data > self._data_seen:
                self._extend(position.runs, position.data)
            self._runs_seen, self._data_seen = position.runs, position.data

    def walk(
        self,
        *,
        data: Iterable[int] = (),
        runs: Iterable[int] = (),
        direction: Direction,
        depth: int = ALL,
        last_data: int = ALL,
        last_run: int = ALL,
    ) -> Reached:
        """Everything within `depth` generations of data, the start included.

        Numbers above `last_data` and `last_run` are not there yet, as far as this walk can see.
        """
        frontier = [number for number in data if number <= last_data]
        seen, seen_runs = set(frontier), set()
        pending_runs = [number for number in runs if number <= last_run]
        seen_runs.update(pending_runs)
        for number in pending_runs:
            for reached in self._beyond(number, direction):
                if reached <= last_data and reached not in seen:
                    seen.add(reached)
                    frontier.append(reached)
        generation = 1 if pending_runs else 0
        while frontier and generation < depth:
            following: list[int] = []
            for number in frontier:
                for run in self._runs_beside(number, direction):
                    if run > last_run or run in seen_runs:
                        continue
                    seen_runs.add(run)
                    for reached in self._beyond(run, direction):
                        if reached <= last_data and reached not in seen:
                            seen.add(reached)
                            following.append(reached)
            frontier = following
            generation += 1
        cut = frozenset(
            number
            for number in frontier
            if any(run <= last_run and run not in seen_runs for run in self._runs_beside(number, direction))
        )
        return Reached(frozenset(seen), frozenset(seen_runs), cut)

    def maker(self, number: int) -> int:
        """The run that made the data."""
        return int(self._maker[number]) if number < len(self._maker) else self._maker_since[number]

    def inputs(self, run: int) -> Sequence[int]:
        return self._inputs.of(run)

    def outputs(self, run: int) -> Sequence[int]:
        return self._outputs.of(run)

    def _runs_beside(self, number: int, direction: Direction) -> Sequence[int]:
        return (self.maker(number),) if direction == "up" else self._consumers.of(number)

    def _beyond(self, run: int, direction: Direction) -> Sequence[int]:
        return self._inputs.of(run) if direction == "up" else self._outputs.of(run)

    def _fill(self, runs: int, data: int) -> None:
        cursor = self._index.cursor()
        made = cursor.execute(_DATA, [0, data]).fetchnumpy()
        taken = cursor.execute(_INPUTS, [0, runs]).fetchnumpy()
        numbers, makers = _whole(made["number"]), _whole(made["run"])
        self._maker = np.zeros(data + 1, dtype=np.int64)
        self._maker[numbers] = makers
        self._maker_since = {}
        self._outputs.fill(makers, numbers, runs)
        self._inputs.fill(_whole(taken["run"]), _whole(taken["data"]), runs)
        self._consumers.fill(_whole(taken["data"]), _whole(taken["run"]), data)
        self._merged_at = runs + data

    def _extend(self, runs: int, data: int) -> None:
        for number, run in self._index.rows(_DATA, [self._data_seen, data]):
            self._maker_since[number] = run
            self._outputs.add(run, number)
        for run, number in self._index.rows(_INPUTS, [self._runs_seen, runs]):
            self._inputs.add(run, number)
            self._consumers.add(number, run)


def _whole(column: object) -> Numbers:
    return np.asarray(column, dtype=np.int64)
