"""Which plans an event is about."""

from __future__ import annotations

from raykqi.catalog.index import Index
from raykqi.domain.events import Event, RunsMoved, RunsRequeued

__all__ = ["plans_of"]

_OF_RUNS = """
    SELECT DISTINCT r.plan, coalesce(p.name, '') FROM run r LEFT JOIN plan p ON p.id = r.plan
    WHERE r.id IN (SELECT unnest(?::UUID[]))
"""
_OF_DATA = """
    SELECT DISTINCT r.plan, coalesce(p.name, '') FROM data d JOIN run r ON r.number = d.run
    LEFT JOIN plan p ON p.id = r.plan WHERE d.id = ?::UUID
"""
_NAME = "SELECT id, name FROM plan WHERE id = ?"


def plans_of(index: Index, event: Event) -> set[str]:
    """The ids and names of the plans whose runs, or data made by them, the event is about."""
    if isinstance(event, RunsMoved | RunsRequeued):
        rows = index.rows(_OF_RUNS, [[attempt.run for attempt in event.runs]])
    elif plan := getattr(event, "plan", ""):
        rows = [(plan, ""), *index.rows(_NAME, [plan])]
    elif run := getattr(event, "run", ""):
        rows = index.rows(_OF_RUNS, [[run]])
    elif data := getattr(event, "data", ""):
        rows = index.rows(_OF_DATA, [data])
    else:
        rows = []
    return {each for row in rows for each in row if each}
