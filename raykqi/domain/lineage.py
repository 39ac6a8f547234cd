"""A piece of lineage as a value: nodes, edges, and questions that need nothing else."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from typing import Literal

import msgspec

from raykqi.domain.data import DataStatus, Tombstone
from raykqi.domain.run import RunStatus
from raykqi.domain.tags import Tag

__all__ = ["Ancestries", "DataNode", "Edge", "EndpointNode", "EndpointStatus", "Lineage", "Node", "RunNode", "Stub"]
__all__ += ["Tombstone"]

# live: a revision answers; waiting: none does yet, or none can
EndpointStatus = Literal["live", "waiting", "paused", "removed"]


class DataNode(msgspec.Struct, frozen=True):
    id: str
    project: str
    status: DataStatus
    created: datetime
    timestamp: datetime | None
    creator: str
    tree: str
    size: int
    files: int
    tags: tuple[Tag, ...] = ()
    tombstone: Tombstone | None = None


class RunNode(msgspec.Struct, frozen=True):
    """`title` is what people call the plan."""

    id: str
    project: str
    plan: str
    status: RunStatus
    created: datetime
    updated: datetime
    creator: str
    title: str = ""

    @property
    def shown(self) -> str:
        return self.title or self.plan


class EndpointNode(msgspec.Struct, frozen=True):
    """An endpoint that serves data of the lineage, or has served them."""

    id: str
    name: str
    project: str
    status: EndpointStatus
    created: datetime
    updated: datetime
    creator: str


class Stub(msgspec.Struct, frozen=True):
    """A data or run of another project. That it is there is all that is told; `id` is no id that one could ask for."""

    id: str
    kind: Literal["data", "run"]

    @property
    def shown(self) -> str:
        return "another project"


Node = DataNode | RunNode | EndpointNode | Stub


class Edge(msgspec.Struct, frozen=True):
    """`input`: data → run; `output`: run → data; `serves`: data → endpoint.

    `name` is the input or output of the plan, or the revision and what it is, as in `revision 3, live`.
    """

    source: str
    target: str
    kind: Literal["input", "output", "serves"]
    name: str


class Lineage(msgspec.Struct, frozen=True):
    """`start` are the ids that were asked about. `cut` are node ids whose neighbours were left out."""

    start: tuple[str, ...]
    data: tuple[DataNode, ...]
    runs: tuple[RunNode, ...]
    edges: tuple[Edge, ...]
    cut: tuple[str, ...] = ()
    as_of: datetime | None = None
    stubs: tuple[Stub, ...] = ()
    endpoints: tuple[EndpointNode, ...] = ()

    def path(self, source: str, target: str) -> tuple[str, ...]:
        """The shortest way along the edges, ends included; empty when there is none."""
        onward: dict[str, list[str]] = {}
        for edge in self.edges:
            onward.setdefault(edge.source, []).append(edge.target)
        came_from = {source: ""}
        waiting = deque([source])
        while waiting:
            node = waiting.popleft()
            if node == target:
                way = [node]
                while came_from[way[-1]]:
                    way.append(came_from[way[-1]])
                return tuple(reversed(way))
            for following in onward.get(node, ()):
                if following not in came_from:
                    came_from[following] = node
                    waiting.append(following)
        return ()


class Ancestries(msgspec.Struct, frozen=True):
    """How the ancestries of two data differ."""

    left: str
    right: str
    only_left: tuple[DataNode, ...]
    only_right: tuple[DataNode, ...]
    shared: tuple[DataNode, ...]
    runs_only_left: tuple[RunNode, ...]
    runs_only_right: tuple[RunNode, ...]
    stubs_only_left: tuple[Stub, ...] = ()
    stubs_only_right: tuple[Stub, ...] = ()
    stubs_shared: tuple[Stub, ...] = ()
