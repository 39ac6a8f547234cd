"""The endpoints that follow tags, in memory, so that a push that concerns none of them asks the index nothing."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import duckdb
import msgspec

from raykqi.catalog.ports import Candidate, Port, Ports
from raykqi.domain.endpoint import EndpointSpec
from raykqi.domain.tags import Tag

__all__ = ["FollowingEndpoints", "newest_match"]

_FOLLOWERS = "SELECT id, project, spec FROM endpoint WHERE removed IS NULL AND NOT is_pinned ORDER BY id"
_HOLDS = "d.number IN (SELECT data FROM posting WHERE hash = hash(?, ?))"
# Postings are hashes: the tag itself has the last word.
_HAS = "EXISTS (FROM tag t WHERE t.data = d.number AND t.key = ? AND t.value = ?)"


class FollowingEndpoints:
    """They are kept as the inputs of plans are."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._ports = Ports()

    @classmethod
    def load(cls, connection: duckdb.DuckDBPyConnection) -> FollowingEndpoints:
        found = cls()
        for id_, project, spec in connection.execute(_FOLLOWERS).fetchall():
            tags = msgspec.json.decode(spec, type=EndpointSpec).binding.tags
            if tags:
                number = len(found._ids)
                found._ids.append(id_)
                found._ports.add([Port(number, number, project, "", None, frozenset(tags))])
        return found

    def __len__(self) -> int:
        return len(self._ids)

    def of(self, project: str, tags: Collection[Tag]) -> list[str]:
        """The endpoints of the project that follow data with these tags."""
        if not self._ids:
            return []
        data = Candidate(0, "", project, _NEVER, frozenset(tags))
        return [self._ids[number] for number in self._ports.matched_by(data)]


def newest_match(connection: duckdb.DuckDBPyConnection, project: str, tags: Collection[Tag]) -> str:
    """The id of the data that became done last of those with all the tags, or nothing."""
    conditions = ["d.project = ?", "d.status = 'done'", *[_HOLDS] * len(tags), *[_HAS] * len(tags)]
    named = [text for tag in tags for text in tag]
    sql = f"""
        SELECT d.id::VARCHAR FROM data d WHERE {" AND ".join(conditions)}
        ORDER BY d.timestamp DESC, d.number DESC LIMIT 1
    """
    rows = connection.execute(sql, [project, *named, *named]).fetchall()
    return str(rows[0][0]) if rows else ""


_NEVER = datetime.min
