"""The inputs of all plans in memory, so that what a data matches is known without asking the index.

Many inputs share tags such as a project's name, so each is found by its rarest tag, its anchor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import duckdb

from raykqi.domain.tags import Tag

__all__ = ["Candidate", "Port", "Ports"]

_PORTS = "SELECT number, plan, project, data_id, moment FROM plan_port WHERE kind = 'input'"
_TAGS = """
    SELECT w.port, w.key, w.value FROM plan_tag w JOIN plan_port p ON p.number = w.port AND p.kind = 'input'
"""


@dataclass(frozen=True)
class Port:
    number: int
    plan: int
    project: str
    data: str
    moment: datetime | None
    tags: frozenset[Tag]


@dataclass(frozen=True)
class Candidate:
    """A data that is done, as far as matching asks; `timestamp` is UTC without a zone."""

    number: int
    id: str
    project: str
    timestamp: datetime | None
    tags: frozenset[Tag]


class Ports:
    def __init__(self) -> None:
        self._by_anchor: dict[Tag, list[Port]] = {}
        self._untagged: list[Port] = []
        self._shared: Counter[Tag] = Counter()
        self.plan_of: dict[int, int] = {}

    @classmethod
    def load(cls, connection: duckdb.DuckDBPyConnection) -> Ports:
        ports = cls()
        tags: dict[int, set[Tag]] = {}
        for port, key, value in connection.execute(_TAGS).fetchall():
            tags.setdefault(port, set()).add(Tag(key, value))
        ports.add(
            Port(number, plan, project, data, moment, frozenset(tags.get(number, ())))
            for number, plan, project, data, moment in connection.execute(_PORTS).fetchall()
        )
        return ports

    def add(self, ports: Iterable[Port]) -> None:
        added = list(ports)
        self._shared.update(tag for port in added for tag in port.tags)
        for port in added:
            self.plan_of[port.number] = port.plan
            if port.tags:
                anchor = min(port.tags, key=lambda tag: (self._shared[tag], tag))
                self._by_anchor.setdefault(anchor, []).append(port)
            else:
                self._untagged.append(port)

    def matched_by(self, data: Candidate) -> list[int]:
        """The inputs that may take it."""
        found = [
            port.number
            for tag in data.tags
            for port in self._by_anchor.get(tag, ())
            if port.tags <= data.tags and _fits(port, data)
        ]
        return found + [port.number for port in self._untagged if _fits(port, data)]


def _fits(port: Port, data: Candidate) -> bool:
    return (
        port.project == data.project
        and (not port.data or port.data == data.id)
        and (port.moment is None or _millisecond(port.moment) == _millisecond(data.timestamp))
    )


def _millisecond(moment: datetime | None) -> datetime | None:
    return moment and moment.replace(microsecond=moment.microsecond // 1000 * 1000)
