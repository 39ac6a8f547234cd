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

from raykqi.catalog.index import Index, guarded

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
_PROJECTS = "SELECT DISTINCT project FROM run WHERE number <= ? ORDER BY project"
_OF_PROJECT = "SELECT number, list_position(?::VARCHAR[], project)::BIGINT AS code FROM run WHERE number <= ?"
_PROJECTS_SINCE = "SELECT number, project FROM run WHERE number > ? AND number <= ?"


class _Arrays:
    """What is known at one time. Filled before others see it; afterwards it only grows."""

    def __init__(self) -> None:
        self._maker: Numbers = np.zeros(1, dtype=np.int64)
        self._maker_since: dict[int, int] = {}
        self.inputs, self.consumers, self.outputs = _Neighbours(), _Neighbours(), _Neighbours()
        self._codes: dict[str, int] = {}  # of projects, from 1
        self._project: Numbers | None = None  # the code of each run; None while all are of one project
        self._project_since: dict[int, int] = {}

    def fill(self, index: Index, runs: int, data: int) -> None:
        with guarded():
            made = index.cursor().execute(_DATA, [0, data]).fetchnumpy()
            taken = index.cursor().execute(_INPUTS, [0, runs]).fetchnumpy()
            names = [str(name) for (name,) in index.rows(_PROJECTS, [runs])]
            if len(names) > 1:
                owned = index.cursor().execute(_OF_PROJECT, [names, runs]).fetchnumpy()
                self._project = np.zeros(runs + 1, dtype=np.int64)
                self._project[_whole(owned["number"])] = _whole(owned["code"])
        self._codes = {name: place for place, name in enumerate(names, 1)}
        numbers, makers = _whole(made["number"]), _whole(made["run"])
        self._maker = np.zeros(data + 1, dtype=np.int64)
        self._maker[numbers] = makers
        self.outputs.fill(makers, numbers, runs)
        self.inputs.fill(_whole(taken["run"]), _whole(taken["data"]), runs)
        self.consumers.fill(_whole(taken["data"]), _whole(taken["run"]), data)

    def add_data(self, number: int, run: int) -> None:
        self._maker_since[number] = run
        self.outputs.add(run, number)

    def add_input(self, run: int, number: int) -> None:
        self.inputs.add(run, number)
        self.consumers.add(number, run)

    def add_project(self, run: int, name: str) -> None:
        code = self._codes.setdefault(name, len(self._codes) + 1)
        if code != 1 or self._project is not None:
            self._project_since[run] = code

    def code_of(self, project: str) -> int:
        """0 when nothing is of that project."""
        return self._codes.get(project, 0)

    @property
    def is_shared(self) -> bool:
        """Whether there is more than one project."""
        return len(self._codes) > 1

    def project(self, run: int) -> int:
        """The code of its project."""
        if code := self._project_since.get(run):
            return code
        return 1 if self._project is None or run >= len(self._project) else int(self._project[run])

    def maker(self, number: int) -> int:
        return int(self._maker[number]) if number < len(self._maker) else self._maker_since[number]

    def beside(self, number: int, direction: Direction) -> Sequence[int]:
        """The runs next to a data."""
        return (self.maker(number),) if direction == "up" else self.consumers.of(number)

    def beyond(self, run: int, direction: Direction) -> Sequence[int]:
        """The data next to a run."""
        return self.inputs.of(run) if direction == "up" else self.outputs.of(run)


class Adjacency:
    """The whole lineage of one index. Safe to use from many threads."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._lock = threading.Lock()
        self._runs_seen = self._data_seen = self._merged_at = 0
        self._generation = index.generation
        self._arrays = _Arrays()

    def follow(self) -> None:
        """Take in what the index has that the arrays have not."""
        with self._lock:
            generation, position = self._index.generation, self._index.position()
            if generation != self._generation:
                self._runs_seen = self._data_seen = self._merged_at = 0
                self._generation = generation
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
        project: str = "default",
        depth: int = ALL,
        last_data: int = ALL,
        last_run: int = ALL,
    ) -> Reached:
        """Everything within `depth` generations of data, the start included.

        Data and runs that are not of the project are met, and nothing is walked beyond them.
        Numbers above `last_data` and `last_run` are not there yet, as far as this walk can see.
        """
        arrays = self._arrays
        own = arrays.code_of(project)

        def is_foreign(run: int) -> bool:
            return arrays.is_shared and arrays.project(run) != own

        frontier = [number for number in data if number <= last_data]
        seen, seen_runs = set(frontier), set()
        pending_runs = [number for number in runs if number <= last_run]
        seen_runs.update(pending_runs)
        for number in pending_runs:
            for reached in arrays.beyond(number, direction):
                if reached <= last_data and reached not in seen:
                    seen.add(reached)
                    if not is_foreign(arrays.maker(reached)):
                        frontier.append(reached)
        generation = 1 if pending_runs else 0
        while frontier and generation < depth:
            following: list[int] = []
            for number in frontier:
                for run in arrays.beside(number, direction):
                    if run > last_run or run in seen_runs:
                        continue
                    seen_runs.add(run)
                    if is_foreign(run):
                        continue
                    for reached in arrays.beyond(run, direction):
                        if reached <= last_data and reached not in seen:
                            seen.add(reached)
                            if not is_foreign(arrays.maker(reached)):
                                following.append(reached)
            frontier = following
            generation += 1
        cut = frozenset(
            number
            for number in frontier
            if any(run <= last_run and run not in seen_runs for run in arrays.beside(number, direction))
        )
        return Reached(frozenset(seen), frozenset(seen_runs), cut)

    def maker(self, number: int) -> int:
        """The run that made the data."""
        return self._arrays.maker(number)

    def is_of(self, run: int, project: str) -> bool:
        """Whether the run is of the project."""
        arrays = self._arrays
        return not arrays.is_shared or arrays.project(run) == arrays.code_of(project)

    def inputs(self, run: int) -> Sequence[int]:
        return self._arrays.inputs.of(run)

    def outputs(self, run: int) -> Sequence[int]:
        return self._arrays.outputs.of(run)

    def _fill(self, runs: int, data: int) -> None:
        arrays = _Arrays()
        arrays.fill(self._index, runs, data)
        self._arrays = arrays
        self._merged_at = runs + data

    def _extend(self, runs: int, data: int) -> None:
        # Projects first: others walk meanwhile, and take no run for their own before its project is known.
        for run, project in self._index.rows(_PROJECTS_SINCE, [self._runs_seen, runs]):
            self._arrays.add_project(run, project)
        for number, run in self._index.rows(_DATA, [self._data_seen, data]):
            self._arrays.add_data(number, run)
        for run, number in self._index.rows(_INPUTS, [self._runs_seen, runs]):
            self._arrays.add_input(run, number)


def _whole(column: object) -> Numbers:
    return np.asarray(column, dtype=np.int64)
