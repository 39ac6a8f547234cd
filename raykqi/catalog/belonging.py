"""Of which project something is, where an event names it by its id alone; how many runs each project has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from raykqi.catalog.index import Index

__all__ = ["count_runs_everywhere", "projects_of"]

Kind = Literal["data", "run", "plan", "endpoint"]
_PROJECTS = {
    "data": "SELECT id::VARCHAR, project FROM data WHERE id IN (SELECT unnest(?::UUID[]))",
    "run": "SELECT id::VARCHAR, project FROM run WHERE id IN (SELECT unnest(?::UUID[]))",
    "plan": "SELECT id::VARCHAR, project FROM plan WHERE id IN (SELECT unnest(?::UUID[]))",
    "endpoint": "SELECT id, project FROM endpoint WHERE id IN (SELECT unnest(?::VARCHAR[]))",
}


def projects_of(index: Index, kind: Kind, ids: Iterable[str]) -> dict[str, str]:
    wanted = list(ids)
    return dict(index.rows(_PROJECTS[kind], [wanted])) if wanted else {}


def count_runs_everywhere(index: Index) -> list[tuple[str, str, int]]:
    """How many runs of which project are in which status."""
    return index.rows("SELECT project, status, count(*) FROM run GROUP BY ALL ORDER BY ALL")
