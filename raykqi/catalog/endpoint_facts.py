"""What decisions need to know about endpoints, read in a few statements for a batch of commands."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from raykqi.catalog.index import Connection, Index
from raykqi.domain.endpoint import CURRENT, EndpointSpec, JobStatus, Loading, RevisionStatus

__all__ = ["EndpointFacts", "JobFacts", "RevisionFacts", "endpoints_by_name", "load_endpoints", "load_jobs"]
__all__ += ["read_endpoints", "served_by", "waiting_jobs"]

Ask = Callable[[str, Sequence[object]], list[tuple[Any, ...]]]


@dataclass
class RevisionFacts:
    """`lived` counts on with each time that a revision of any endpoint became live; 0: this one never was.

    `is_there`: the bytes of its model can be read.
    """

    number: int
    data: str
    loading: Loading
    status: RevisionStatus
    reason: str = ""
    lived: int = 0
    is_there: bool = True


@dataclass
class EndpointFacts:
    """Revisions by their numbers. Decisions move these facts on as they are made."""

    id: str
    name: str
    project: str
    spec: EndpointSpec
    is_paused: bool = False
    is_pinned: bool = False
    followed: str = ""
    held: str = ""
    is_removed: bool = False
    revisions: dict[int, RevisionFacts] = field(default_factory=dict)

    @property
    def live(self) -> RevisionFacts | None:
        return next((each for each in self.revisions.values() if each.status == "live"), None)

    @property
    def coming(self) -> RevisionFacts | None:
        return next((each for each in self.revisions.values() if each.status in ("waiting", "loading", "canary")), None)

    def of(self, data: str, loading: Loading) -> RevisionFacts | None:
        """The revision of this model, loaded so."""
        return next((each for each in self.revisions.values() if (each.data, each.loading) == (data, loading)), None)


@dataclass
class JobFacts:
    id: str
    endpoint: str
    status: JobStatus
    request: str


_ENDPOINTS = """
    SELECT id, name, project, spec, is_paused, is_pinned, followed, held, removed IS NOT NULL
    FROM endpoint WHERE id IN (SELECT unnest(?::VARCHAR[]))
"""
_REVISIONS = """
    SELECT r.endpoint, r.number, r.data::VARCHAR, r.loading, r.status, r.reason, coalesce(m.lived, 0),
           coalesce(d.status = 'done', false)
    FROM revision r LEFT JOIN data d ON d.id = r.data
    LEFT JOIN (
        SELECT endpoint, revision, max(number) AS lived FROM revision_move WHERE status = 'live' GROUP BY ALL
    ) m ON m.endpoint = r.endpoint AND m.revision = r.number
    WHERE r.endpoint IN (SELECT unnest(?::VARCHAR[])) ORDER BY r.endpoint, r.number
"""
_NAMED = "SELECT name, id FROM endpoint WHERE removed IS NULL AND name IN (SELECT unnest(?::VARCHAR[]))"
_SERVED = """
    SELECT r.data::VARCHAR, e.name FROM revision r JOIN endpoint e ON e.id = r.endpoint
    WHERE e.removed IS NULL AND r.status IN (SELECT unnest(?::VARCHAR[])) AND r.data IN (SELECT unnest(?::UUID[]))
    ORDER BY e.name
"""
_JOBS = "SELECT id, endpoint, status, request FROM job WHERE id IN (SELECT unnest(?::VARCHAR[]))"
_WAITING = """
    SELECT id, endpoint, status, request FROM job
    WHERE status = 'waiting' AND endpoint IN (SELECT unnest(?::VARCHAR[])) ORDER BY id
"""


def load_endpoints(index: Index, ids: Collection[str]) -> dict[str, EndpointFacts]:
    """Those that are not there are left out."""
    return _endpoints(index.rows, ids) if ids else {}


def read_endpoints(connection: Connection, ids: Collection[str]) -> dict[str, EndpointFacts]:
    """The same as the open transaction has them."""
    return _endpoints(lambda sql, given: connection.execute(sql, given).fetchall(), ids) if ids else {}


def endpoints_by_name(index: Index, names: Collection[str]) -> dict[str, str]:
    """The ids of the endpoints that have these names now."""
    return dict(index.rows(_NAMED, [list(names)])) if names else {}


def served_by(index: Index, data: Collection[str]) -> dict[str, list[str]]:
    """For each data the names of the endpoints of which it is the model, or is about to be."""
    found: dict[str, list[str]] = {}
    for id_, name in index.rows(_SERVED, [list(CURRENT), list(data)]) if data else ():
        found.setdefault(id_, []).append(name)
    return found


def load_jobs(index: Index, ids: Collection[str]) -> dict[str, JobFacts]:
    return {id_: JobFacts(id_, *rest) for id_, *rest in index.rows(_JOBS, [list(ids)])} if ids else {}


def waiting_jobs(index: Index, endpoints: Collection[str]) -> dict[str, JobFacts]:
    """The jobs of these endpoints that have not ended."""
    return {id_: JobFacts(id_, *rest) for id_, *rest in index.rows(_WAITING, [list(endpoints)])} if endpoints else {}


def _endpoints(ask: Ask, ids: Collection[str]) -> dict[str, EndpointFacts]:
    found: dict[str, EndpointFacts] = {}
    for id_, name, project, spec, *rest in ask(_ENDPOINTS, [list(ids)]):
        found[id_] = EndpointFacts(id_, name, project, msgspec.json.decode(spec, type=EndpointSpec), *rest)
    for id_, number, data, loading, *rest in ask(_REVISIONS, [list(found)]):
        how = msgspec.json.decode(loading, type=Loading)
        found[id_].revisions[number] = RevisionFacts(number, data, how, *rest)
    return found
