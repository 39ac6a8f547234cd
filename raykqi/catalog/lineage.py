"""Lineage out of the index: ancestors, descendants, the way between two, and how two ancestries differ."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, TypeVar

import msgspec

from raykqi.catalog.adjacency import ALL, Adjacency, Reached
from raykqi.catalog.index import Index, utc
from raykqi.catalog.redaction import pseudonym
from raykqi.catalog.serving_lineage import endpoints_of
from raykqi.domain.lineage import Ancestries, DataNode, Edge, Lineage, RunNode, Stub, Tombstone
from raykqi.domain.plan import Definition
from raykqi.domain.tags import Tag
from raykqi.errors import UnknownId

__all__ = ["LineageReader", "Way"]

Way = Literal["up", "down", "both"]
Node = TypeVar("Node", DataNode, RunNode)

_FIND = """
    SELECT 'data', number FROM data WHERE id = $id::UUID AND project = $project
    UNION ALL SELECT 'run', number FROM run WHERE id = $id::UUID AND project = $project
"""
_LAST = """
    SELECT (SELECT coalesce(max(number), 0) FROM data WHERE created <= $moment),
           (SELECT coalesce(max(number), 0) FROM run WHERE created <= $moment)
"""
_DATA = """
    SELECT number, id::VARCHAR, project, status, created, timestamp, creator, tree, size, files
    FROM data WHERE number IN (SELECT unnest($numbers::BIGINT[])) ORDER BY number
"""
_RUNS = """
    SELECT r.number, r.id::VARCHAR, r.project, r.plan, r.status, r.created, r.updated, r.creator, p.name,
           CASE WHEN p.name = '' THEN p.definition END
    FROM run r LEFT JOIN plan p ON p.id = r.plan
    WHERE r.number IN (SELECT unnest($numbers::BIGINT[])) ORDER BY r.number
"""
_TOMBSTONES = """
    SELECT data, kind, ended_at, ended_by, reason FROM tombstone
    WHERE data IN (SELECT unnest($numbers::BIGINT[])) AND ($moment IS NULL OR ended_at <= $moment)
    ORDER BY data, ended_at, kind
"""
_TAGS = """
    SELECT data, key, value FROM tag
    WHERE data IN (SELECT unnest($numbers::BIGINT[])) AND ($moment IS NULL OR added_at <= $moment)
    UNION ALL
    SELECT data, key, value FROM tag_past
    WHERE data IN (SELECT unnest($numbers::BIGINT[])) AND added_at <= $moment AND removed_at > $moment
    ORDER BY ALL
"""
_INPUT_EDGES = """
    SELECT run, name, data FROM run_input
    WHERE run IN (SELECT unnest($runs::BIGINT[])) AND data IN (SELECT unnest($numbers::BIGINT[])) ORDER BY ALL
"""
_MODELS = """
    SELECT DISTINCT d.number, d.id::VARCHAR FROM revision r JOIN data d ON d.id = r.data WHERE d.project = ?
"""
_OUTPUT_EDGES = """
    SELECT run, output, number FROM data
    WHERE run IN (SELECT unnest($runs::BIGINT[])) AND number IN (SELECT unnest($numbers::BIGINT[])) ORDER BY ALL
"""


class LineageReader:
    """Answers questions about lineage; `as_of` asks how it stood at that moment.

    Each is asked in a project. What touches it from others is shown as a stub, and nothing beyond that.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._adjacency = Adjacency(index)

    def around(
        self,
        id_: str,
        *,
        way: Way = "both",
        depth: int | None = None,
        siblings: bool = False,
        as_of: datetime | None = None,
        project: str = "default",
    ) -> Lineage:
        """What lies `depth` generations (all without it) up or down from a data or run."""
        kind, number = self._number(id_, project)
        last_data, last_run = self._last(as_of)
        if number > (last_data if kind == "data" else last_run):
            raise UnknownId(f"{kind} {id_} was not there yet at {as_of}", hint="Ask as of a later moment.")
        data: set[int] = set()
        runs: set[int] = set()
        cut: set[int] = set()
        served: frozenset[int] = frozenset()
        for direction in ("up", "down") if way == "both" else (way,):
            reached = self._adjacency.walk(
                data=[number] if kind == "data" else [],
                runs=[number] if kind == "run" else [],
                direction=direction,
                project=project,
                depth=ALL if depth is None else depth,
                last_data=last_data,
                last_run=last_run,
            )
            data |= reached.data
            runs |= reached.runs
            cut |= reached.cut
            served = reached.data if direction == "down" else served
        if siblings:
            own = [run for run in runs if self._adjacency.is_of(run, project)]
            data |= {n for run in own for n in (*self._adjacency.inputs(run), *self._adjacency.outputs(run))}
        whole = Reached(frozenset(data), frozenset(runs), frozenset(cut))
        return self._read((id_,), whole, as_of, project, served)

    def path(self, ancestor: str, descendant: str, *, project: str = "default") -> Lineage:
        """The shortest way from one data or run down to another; empty when there is none."""
        above = self.around(descendant, way="up", project=project)
        way = set(above.path(ancestor, descendant))
        return Lineage(
            start=(ancestor, descendant),
            data=tuple(node for node in above.data if node.id in way),
            runs=tuple(node for node in above.runs if node.id in way),
            edges=tuple(edge for edge in above.edges if edge.source in way and edge.target in way),
        )

    def compare(self, left: str, right: str, *, project: str = "default") -> Ancestries:
        """Which ancestors two data or runs share, and which only one of them has."""
        one, other = (self.around(id_, way="up", project=project) for id_ in (left, right))
        left_ids, right_ids = {node.id for node in one.data}, {node.id for node in other.data}
        left_runs, right_runs = {node.id for node in one.runs}, {node.id for node in other.runs}
        return Ancestries(
            left=left,
            right=right,
            only_left=tuple(node for node in one.data if node.id not in right_ids),
            only_right=tuple(node for node in other.data if node.id not in left_ids),
            shared=tuple(node for node in one.data if node.id in right_ids),
            runs_only_left=tuple(node for node in one.runs if node.id not in right_runs),
            runs_only_right=tuple(node for node in other.runs if node.id not in left_runs),
            stubs_only_left=tuple(stub for stub in one.stubs if stub not in other.stubs),
            stubs_only_right=tuple(stub for stub in other.stubs if stub not in one.stubs),
            stubs_shared=tuple(stub for stub in one.stubs if stub in other.stubs),
        )

    def models_below(self, id_: str, *, project: str = "default") -> set[str]:
        """Of the models that endpoints of the project serve or served, those that came of a data or run, or are it."""
        kind, number = self._number(id_, project)
        reached = self._adjacency.walk(
            data=[number] if kind == "data" else [],
            runs=[number] if kind == "run" else [],
            direction="down",
            project=project,
        )
        return {data for number, data in self._index.rows(_MODELS, [project]) if number in reached.data}

    def _number(self, id_: str, project: str) -> tuple[str, int]:
        self._adjacency.follow()
        rows = self._index.rows(_FIND, {"id": id_, "project": project})
        if not rows:
            raise UnknownId(f"there is no data or run {id_}", hint="`raykqi data find` lists what there is.")
        kind, number = rows[0]
        return str(kind), int(number)

    def _last(self, as_of: datetime | None) -> tuple[int, int]:
        if as_of is None:
            return ALL, ALL
        last_data, last_run = self._index.rows(_LAST, {"moment": _naive(as_of)})[0]
        return int(last_data), int(last_run)

    def _read(
        self, start: tuple[str, ...], reached: Reached, as_of: datetime | None, project: str, served: frozenset[int]
    ) -> Lineage:
        """Endpoints are shown of the data in `served`."""
        moment = _naive(as_of) if as_of else None
        numbers, runs = sorted(reached.data), sorted(reached.runs)
        run_nodes = {row[0]: _run_node(row) for row in self._index.rows(_RUNS, {"numbers": runs})}
        data_nodes = self._data_nodes(numbers, moment)
        both = {"numbers": numbers, "runs": runs}
        data = {number: self._shown(node, "data", project) for number, node in data_nodes.items()}
        made_by = {number: self._shown(node, "run", project) for number, node in run_nodes.items()}
        own = [node.id for number, node in data_nodes.items() if number in served and node.project == project]
        serving = endpoints_of(self._index, own, project, moment)
        # How another project calls its inputs is its own affair.
        edges = [
            Edge(data[number].id, made_by[run].id, "input", "" if isinstance(made_by[run], Stub) else name)
            for run, name, number in self._index.rows(_INPUT_EDGES, both)
            if not (isinstance(data[number], Stub) and isinstance(made_by[run], Stub))
        ] + [
            Edge(made_by[run].id, data[number].id, "output", name)
            for run, name, number in self._index.rows(_OUTPUT_EDGES, both)
            if not isinstance(made_by[run], Stub)
        ]
        return Lineage(
            start=start,
            data=tuple(node for node in data.values() if isinstance(node, DataNode)),
            runs=tuple(node for node in made_by.values() if isinstance(node, RunNode)),
            edges=(*edges, *serving.edges),
            cut=tuple(data[number].id for number in sorted(reached.cut)),
            as_of=as_of,
            stubs=tuple(node for node in (*data.values(), *made_by.values()) if isinstance(node, Stub)),
            endpoints=serving.endpoints,
        )

    def _shown(self, node: Node, kind: Literal["data", "run"], project: str) -> Node | Stub:
        if node.project == project:
            return node
        return Stub(pseudonym(self._index.workspace, project, node.id), kind)

    def _data_nodes(self, numbers: list[int], moment: datetime | None) -> dict[int, DataNode]:
        asked = {"numbers": numbers, "moment": moment}
        tombstones: dict[int, Tombstone] = {}
        for number, kind, ended_at, ended_by, reason in self._index.rows(_TOMBSTONES, asked):
            tombstones[number] = Tombstone(kind, utc(ended_at), ended_by, reason)
        tags: dict[int, list[Tag]] = {}
        for number, key, value in self._index.rows(_TAGS, asked):
            tags.setdefault(number, []).append(Tag(key, value))
        nodes: dict[int, DataNode] = {}
        for number, id_, project, status, created, timestamp, creator, tree, size, files in self._index.rows(
            _DATA, {"numbers": numbers}
        ):
            tombstone = tombstones.get(number)
            nodes[number] = DataNode(
                id=id_,
                project=project,
                status=tombstone.kind if tombstone else "done" if status in ("purged", "removed") else status,
                created=utc(created),
                timestamp=utc(timestamp) if timestamp else None,
                creator=creator,
                tree=tree,
                size=size,
                files=files,
                tags=tuple(tags.get(number, ())),
                tombstone=tombstone,
            )
        return nodes


def _run_node(row: tuple[Any, ...]) -> RunNode:
    _, id_, project, plan, status, created, updated, creator, name, definition = row
    return msgspec.convert(
        {
            "id": id_,
            "project": project,
            "plan": plan,
            "status": status,
            "created": utc(created),
            "updated": utc(updated),
            "creator": creator,
            "title": name or (_title(str(definition)) if definition else ""),
        },
        RunNode,
    )


@lru_cache(maxsize=1_024)
def _title(definition: str) -> str:
    return msgspec.json.decode(definition, type=Definition).title


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
