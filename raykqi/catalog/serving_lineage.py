"""Which endpoints serve data or have served them, as nodes and edges of a lineage."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from raykqi.catalog.index import Index, utc
from raykqi.domain.endpoint import ANSWERING
from raykqi.domain.lineage import Edge, EndpointNode, EndpointStatus

__all__ = ["Serving", "endpoints_of"]

_ENDPOINTS = """
    SELECT e.id, e.name, e.project, e.created, e.updated, e.creator, e.is_paused AND $moment IS NULL,
           coalesce(e.removed <= coalesce($moment, e.removed), false)
    FROM endpoint e
    WHERE e.project = $project
      AND e.id IN (SELECT r.endpoint FROM revision r WHERE r.data IN (SELECT unnest($data::UUID[]))
                   AND ($moment IS NULL OR r.created <= $moment))
    ORDER BY e.created, e.id
"""
_REVISIONS = """
    SELECT r.endpoint, r.number, r.data::VARCHAR, r.status FROM revision r
    WHERE r.endpoint IN (SELECT unnest($endpoints::VARCHAR[])) ORDER BY r.endpoint, r.number
"""
_REVISIONS_THEN = """
    SELECT r.endpoint, r.number, r.data::VARCHAR, arg_max(m.status, m.number)
    FROM revision r JOIN revision_move m ON m.endpoint = r.endpoint AND m.revision = r.number
    WHERE r.endpoint IN (SELECT unnest($endpoints::VARCHAR[])) AND m.moment <= $moment
    GROUP BY ALL ORDER BY r.endpoint, r.number
"""


class Serving(NamedTuple):
    endpoints: tuple[EndpointNode, ...] = ()
    edges: tuple[Edge, ...] = ()


def endpoints_of(index: Index, data: Collection[str], project: str, moment: datetime | None) -> Serving:
    """The endpoints of the project that serve any of `data`, or did; as it stood at `moment`, which has no zone.

    Whether an endpoint was paused then is not known any more.
    """
    rows = index.rows(_ENDPOINTS, {"data": list(data), "project": project, "moment": moment}) if data else []
    if not rows:
        return Serving()
    asked: dict[str, object] = {"endpoints": [row[0] for row in rows]}
    if moment is None:
        revisions = index.rows(_REVISIONS, asked)
    else:
        revisions = index.rows(_REVISIONS_THEN, asked | {"moment": moment})
    answering = {endpoint for endpoint, _, _, status in revisions if status in ANSWERING}
    nodes = [
        EndpointNode(id_, name, own, _status(id_ in answering, paused, gone), utc(created), utc(updated), creator)
        for id_, name, own, created, updated, creator, paused, gone in rows
    ]
    wanted = set(data)
    edges = [
        Edge(served, endpoint, "serves", f"revision {number}, {status}")
        for endpoint, number, served, status in revisions
        if served in wanted
    ]
    return Serving(tuple(nodes), tuple(edges))


def _status(answers: bool, is_paused: bool, is_removed: bool) -> EndpointStatus:
    if is_removed:
        return "removed"
    if is_paused:
        return "paused"
    return "live" if answers else "waiting"
