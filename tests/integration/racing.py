"""A process that changes a workspace which others change too: refused attempts are said, and tried again anew."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from raykqi.catalog.index import Index
from raykqi.controller.controller import Controller
from raykqi.controller.index_keeper import IndexKeeper
from raykqi.domain.ids import SystemClock
from raykqi.errors import Fenced, WorkspaceOwned
from raykqi.journal.lease import Lease
from raykqi.journal.log import Journal, OutcomeUnknown
from raykqi.journal.ownership import this_owner
from raykqi.opening import FORMAT, Description, Parts, open_parts
from raykqi.settings import Settings
from raykqi.storage.filesystem import open_store
from raykqi.workspace import Workspace
from tests.integration.processes import Says

__all__ = ["lease_parts", "race", "race_with_lease"]

START = datetime(2026, 11, 20, tzinfo=UTC)


def lease_parts(url: str, settings: Settings, *, workspace: str, term: float = 2.0) -> Parts:
    """The parts of a workspace whose lease runs out sooner than anybody would want outside of a test."""
    store = open_store(url, settings)
    ownership = Lease(this_owner(user=settings.user), store, ttl=term, settle=term / 10)
    journal = Journal(store, guard=ownership.check)
    keeper = IndexKeeper(store, journal, Index(None, workspace))
    controller = Controller(
        keeper=keeper,
        journal=journal,
        ownership=ownership,
        clock=SystemClock(),
        lock_timeout=settings.lock_timeout,
        freshness=0.0,
    )
    controller.refresh()
    return Parts(store, Description(FORMAT, workspace, START), keeper, controller)


def race(says: Says, url: str, settings: Settings, env: dict[str, str], name: str, count: int, source: str) -> None:
    """Push and tag in turns until `count` changes were acknowledged."""
    os.environ.update(env)
    _race(says, lambda: open_parts(url, settings), settings, name, count, Path(source))


def race_with_lease(
    says: Says, url: str, settings: Settings, env: dict[str, str], name: str, count: int, source: str
) -> None:
    os.environ.update(env)
    _race(says, lambda: lease_parts(url, settings, workspace="leased"), settings, name, count, Path(source))


def _race(says: Says, open_: Callable[[], Parts], settings: Settings, name: str, count: int, source: Path) -> None:
    says(["open"])
    done = attempt = 0
    while done < count:
        with Workspace(open_(), settings) as ws:
            own: list[str] = []
            while done < count:
                attempt += 1
                tag = f"op:{name}-{attempt}"
                says(["intent", tag])
                try:
                    if attempt % 2 or not own:
                        own.append(ws.push(source, [tag]).id)
                    else:
                        ws.tag(own[-1], add=[tag])
                except (Fenced, WorkspaceOwned) as error:
                    says(["refused", tag, type(error).__name__, str(error)[:500]])
                    break
                except OutcomeUnknown:
                    says(["unknown", tag])
                    break
                says(["done", tag])
                done += 1
