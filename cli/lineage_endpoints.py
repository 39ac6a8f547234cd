"""Which endpoints saw a data that turned out bad, and taking them off."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from cli.output import harmless
from cli.serve_text import state_of
from cli.session import Session
from cli.table import Column
from cli.values import short_ids
from raykqi.errors import InvalidInput

if TYPE_CHECKING:
    from raykqi.domain.endpoint import Endpoint, Revision

__all__ = ["show_affected"]

COLUMNS = (
    Column("ENDPOINT", style="bold"),
    Column("STATE", least=8),
    Column("REVISION", right=True),
    Column("WAS", least=8),
    Column("MODEL", style="cyan"),
)


def show_affected(session: Session, node: str, *, pull: bool, reason: str, yes: bool) -> None:
    """The endpoints that serve or served what came of the node; with `pull`, those that serve it now are paused."""
    with session.open() as workspace:
        data = {each.id for each in workspace.impact(node).data}
        found = workspace.affected_endpoints(node)
        serving = [each for each in found if each.serves(data)]
        if not session.json:
            _show(session, found, data)
        paused: list[Endpoint] = []
        if pull and serving:
            _confirm(session, serving, yes)
            why = reason or f"it answers with what came of {node}"
            paused = [workspace.pause(each.name, why) for each in serving]
    if session.json:
        session.out.json(
            [_record(each, data) | {"paused_now": each.name in {p.name for p in paused}} for each in found]
        )
    elif pull:
        session.out.lines(harmless(f"{each.name} is paused.") for each in paused)
        if not paused:
            session.out.note("None of them answers with it now.")


def _show(session: Session, found: list[Endpoint], data: set[str]) -> None:
    if not found:
        session.out.note("No endpoint has served what came of it.")
        return
    short = short_ids(each.data for endpoint in found for each in _of(endpoint, data))
    rows = [
        [endpoint.name, state_of(endpoint), str(each.number), each.status, short[each.data]]
        for endpoint in found
        for each in _of(endpoint, data)
    ]
    session.out.table(COLUMNS, rows)


def _confirm(session: Session, serving: list[Endpoint], yes: bool) -> None:
    names = ", ".join(each.name for each in serving)
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidInput(f"{names} would be paused, and nobody can be asked", hint="Say --yes.")
    if not typer.confirm(f"Pause {names}?", err=True):
        session.out.complain("Nothing was paused.")
        raise typer.Exit(1)


def _of(endpoint: Endpoint, data: set[str]) -> list[Revision]:
    return [each for each in endpoint.revisions if each.data in data]


def _record(endpoint: Endpoint, data: set[str]) -> dict[str, object]:
    """`name state serves revisions[]{number status data} paused_now`."""
    return {
        "name": endpoint.name,
        "state": state_of(endpoint),
        "serves": endpoint.serves(data),
        "revisions": [
            {"number": each.number, "status": each.status, "data": each.data} for each in _of(endpoint, data)
        ],
    }
