"""The state of a fold: numbers what is new and deals the events into rounds."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from functools import singledispatch

import duckdb

from raykqi.catalog.index import Position
from raykqi.catalog.memory import Memory
from raykqi.catalog.rounds import Round
from raykqi.domain.events import Event

__all__ = ["Fold", "fold"]

ROUND_EVENTS = 20_000


class Fold:
    """Numbers what is new and deals the events into rounds.

    Rounds of a long journal are written by a second thread while the next one is gathered.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, position: Position, memory: Memory, *, derived: bool
    ) -> None:
        self.runs, self.data, self.generation = position.runs, position.data, position.generation
        self.plans, self.ports = position.plans, position.ports
        self.deeds, self.last_id = position.deeds, position.last_id
        self.endpoints, self.moves = position.endpoints, position.moves
        self.round = Round()
        self._connection = connection
        self.memory = memory
        self._derived = derived
        self._writer: ThreadPoolExecutor | None = None
        self._written: Future[None] | None = None

    def take(self, event: Event) -> None:
        if self.round.events >= ROUND_EVENTS:
            self._hand_over()
        self.round.events += 1
        fold(event, self)

    def finish(self) -> None:
        self._wait()
        if self.round.events:
            self._write(self.round)

    def close(self) -> None:
        if self._writer:
            self._writer.shutdown()

    def _hand_over(self) -> None:
        self._writer = self._writer or ThreadPoolExecutor(1, thread_name_prefix="raykqi-fold")
        self._wait()
        self._written = self._writer.submit(self._write, self.round)
        self.round = Round()

    def _wait(self) -> None:
        if self._written:
            self._written.result()

    def _write(self, full: Round) -> None:
        self.memory.has_plans, self.memory.has_endpoints = self.ports > 0, self.endpoints > 0
        full.write(self._connection, self.memory, derived=self._derived)
        if self._derived:
            self.memory.numbers.update((id_, born.number) for id_, born in full.born.items())

    @property
    def numbers(self) -> dict[str, int | str]:
        """What the position remembers."""
        return {
            "runs": self.runs,
            "data": self.data,
            "plans": self.plans,
            "ports": self.ports,
            "deeds": self.deeds,
            "endpoints": self.endpoints,
            "moves": self.moves,
            "generation": self.generation,
            "last_id": self.last_id,
        }


@singledispatch
def fold(event: object, into: Fold) -> None:
    raise TypeError(f"no fold for {type(event).__name__} into {type(into).__name__}")
