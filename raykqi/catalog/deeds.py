"""The part of the audit log that no other table keeps: one row for each thing that somebody did."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from msgspec.structs import StructConfig

from raykqi.catalog.rows import TEXT, TIME, WHOLE, YES, Rows, schema

if TYPE_CHECKING:
    from collections.abc import Iterable

    from raykqi.catalog.folding import Fold

__all__ = ["Deeds", "note_deed", "note_endpoint_deed", "note_plan_deed", "note_run_deed"]

_DEED = schema(number=WHOLE, moment=TIME, author=TEXT, project=TEXT, action=TEXT, subject=TEXT, detail=TEXT)
_OF_RUN = schema(number=WHOLE, moment=TIME, author=TEXT, action=TEXT, run=TEXT, detail=TEXT)
_OF_ENDPOINT = schema(number=WHOLE, moment=TIME, author=TEXT, action=TEXT, endpoint=TEXT, detail=TEXT)
_OF_PLAN = schema(number=WHOLE, moment=TIME, author=TEXT, plan=TEXT, active=YES)

_INSERT = "INSERT INTO deed SELECT number, moment, author, project, action, subject, detail FROM new_deed"
_INSERT_OF_RUNS = """
    INSERT INTO deed SELECT n.number, n.moment, n.author, r.project, n.action, n.run, n.detail
    FROM run_deed n JOIN run r ON r.id = n.run::UUID
"""
_INSERT_OF_ENDPOINTS = """
    INSERT INTO deed SELECT n.number, n.moment, n.author, e.project, n.action, e.name, n.detail
    FROM endpoint_deed n JOIN endpoint e ON e.id = n.endpoint
"""
# What a change of a plan was about shows beside what the plan was before.
_INSERT_OF_PLANS = """
    INSERT INTO deed
    SELECT n.number, n.moment, n.author, p.project,
           CASE WHEN n.active = coalesce(lag(n.active) OVER (PARTITION BY n.plan ORDER BY n.number), p.active)
                THEN 'plan.changed' WHEN n.active THEN 'plan.activated' ELSE 'plan.deactivated' END,
           n.plan, ''
    FROM plan_deed n JOIN plan p ON p.id = n.plan
"""


class Did(Protocol):
    """An event that says who made it."""

    @property
    def __struct_config__(self) -> StructConfig: ...

    @property
    def at(self) -> datetime: ...

    @property
    def by(self) -> str: ...


class Deeds:
    """Of one round. Those of runs, plans and endpoints find their project by them, and stand after them."""

    def __init__(self) -> None:
        self.plain, self.of_runs, self.of_plans = Rows(_DEED), Rows(_OF_RUN), Rows(_OF_PLAN)
        self.of_endpoints = Rows(_OF_ENDPOINT)

    def writes(self) -> Iterable[tuple[str, Rows, tuple[str, ...]]]:
        yield "new_deed", self.plain, (_INSERT,)
        yield "run_deed", self.of_runs, (_INSERT_OF_RUNS,)
        yield "plan_deed", self.of_plans, (_INSERT_OF_PLANS,)
        yield "endpoint_deed", self.of_endpoints, (_INSERT_OF_ENDPOINTS,)


def note_deed(event: Did, state: Fold, project: str, subject: str, detail: str = "") -> None:
    """The deed is called as the event is."""
    action = str(event.__struct_config__.tag)
    state.round.deeds.plain.rows.append((_next(state), event.at, event.by, project, action, subject, detail))


def note_run_deed(event: Did, state: Fold, action: str, run: str, detail: str = "") -> None:
    state.round.deeds.of_runs.rows.append((_next(state), event.at, event.by, action, run, detail))


def note_endpoint_deed(event: Did, state: Fold, endpoint: str, detail: str = "") -> None:
    action = str(event.__struct_config__.tag)
    state.round.deeds.of_endpoints.rows.append((_next(state), event.at, event.by, action, endpoint, detail))


def note_plan_deed(event: Did, state: Fold, plan: str, *, active: bool) -> None:
    state.round.deeds.of_plans.rows.append((_next(state), event.at, event.by, plan, active))


def _next(state: Fold) -> int:
    state.deeds += 1
    return state.deeds
