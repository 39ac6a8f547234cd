"""New and changed rows of endpoints, revisions and jobs in a round of the fold, and how they are written."""

from __future__ import annotations

from collections.abc import Iterable

from raykqi.catalog.changes import Changes
from raykqi.catalog.rows import TEXT, TIME, WHOLE, YES, Rows, schema

__all__ = ["EndpointRows"]

_ENDPOINT = schema(id=TEXT, name=TEXT, project=TEXT, spec=TEXT, created=TIME, creator=TEXT)
_REVISION = schema(
    endpoint=TEXT, number=WHOLE, data=TEXT, loading=TEXT, status=TEXT, created=TIME, creator=TEXT, cause=TEXT,
    reason=TEXT,
)  # fmt: skip
_MOVE = schema(number=WHOLE, endpoint=TEXT, revision=WHOLE, moment=TIME, author=TEXT, status=TEXT, reason=TEXT)
_JOB = schema(
    id=TEXT, endpoint=TEXT, request=TEXT, kind=TEXT, content_type=TEXT, created=TIME, creator=TEXT,
)  # fmt: skip

_ENDPOINT_COLUMNS = {
    "spec": TEXT, "updated": TIME, "is_paused": YES, "is_pinned": YES, "followed": TEXT, "reason": TEXT, "held": TEXT,
    "removed": TIME,
}  # fmt: skip
_REVISION_COLUMNS = {"status": TEXT, "reason": TEXT}
_JOB_COLUMNS = {"status": TEXT, "result": TEXT, "revision": WHOLE, "ended": TIME, "reason": TEXT}

# One that is there is only changed.
_INSERT_ENDPOINTS = """
    INSERT INTO endpoint
    SELECT id, name, project, spec, created, created, creator, false, false, '', '', '', NULL FROM new_endpoint
    WHERE id NOT IN (SELECT id FROM endpoint)
"""
_INSERT_REVISIONS = """
    INSERT INTO revision
    SELECT endpoint, number, data::UUID, loading, status, created, creator, cause, reason FROM new_revision
"""
_INSERT_MOVES = "INSERT INTO revision_move SELECT * FROM new_move"
_INSERT_JOBS = """
    INSERT INTO job
    SELECT id, endpoint, 'waiting', request, kind, content_type, created, creator, '', 0, NULL, '' FROM new_job
"""


class EndpointRows:
    """Of one round. What was made in it is inserted first, and then all changes are."""

    def __init__(self) -> None:
        self.revisions, self.moves, self.jobs = Rows(_REVISION), Rows(_MOVE), Rows(_JOB)
        self.endpoint_changes = Changes("endpoint", "endpoint.id = c.changed_id", _ENDPOINT_COLUMNS)
        self.revision_changes = Changes(
            "revision", "revision.endpoint || ' ' || revision.number = c.changed_id", _REVISION_COLUMNS
        )
        self.job_changes = Changes("job", "job.id = c.changed_id", _JOB_COLUMNS)
        self._deployed: dict[str, tuple[object, ...]] = {}

    def deploy(self, id_: str, *row: object) -> None:
        """What an endpoint is from its first deployment on."""
        self._deployed.setdefault(id_, (id_, *row))

    def writes(self) -> Iterable[tuple[str, Rows, tuple[str, ...]]]:
        deployed = Rows(_ENDPOINT)
        deployed.rows += self._deployed.values()
        yield "new_endpoint", deployed, (_INSERT_ENDPOINTS,)
        yield "new_revision", self.revisions, (_INSERT_REVISIONS,)
        yield "new_move", self.moves, (_INSERT_MOVES,)
        yield "new_job", self.jobs, (_INSERT_JOBS,)

    def changes(self) -> tuple[Changes, ...]:
        return self.endpoint_changes, self.revision_changes, self.job_changes
