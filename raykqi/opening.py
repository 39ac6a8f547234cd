"""From a URL to an open workspace: what must be there, of which format, and who may write it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from raykqi.catalog.index import Index
from raykqi.controller.controller import Controller
from raykqi.controller.following import FollowingController, RemoteEnd
from raykqi.controller.index_keeper import IndexKeeper
from raykqi.controller.writer import Writer
from raykqi.domain.ids import Clock, IdMaker, SystemClock, is_id
from raykqi.errors import (
    Damaged,
    ObjectExists,
    ObjectMissing,
    TargetNotEmpty,
    WorkspaceExists,
    WorkspaceMissing,
    WorkspaceTooNew,
)
from raykqi.journal.log import Journal
from raykqi.journal.owning import open_ownership
from raykqi.settings import DEFAULT_FOLDER, Settings, nearest_workspace
from raykqi.storage.filesystem import Store, open_store

__all__ = ["FORMAT", "Description", "Parts", "create_workspace", "find_workspace", "open_parts"]

FORMAT = 1
DESCRIPTION_KEY = "workspace.json"
REMOTE_FRESHNESS = 1.0
FOLLOWING_FRESHNESS = 0.5  # of a remote store: what was revoked has to be known within a second


class Description(msgspec.Struct, frozen=True):
    """`workspace.json`: written once, never changed."""

    format: int
    id: str
    created: datetime


class Parts(NamedTuple):
    store: Store
    description: Description
    keeper: IndexKeeper
    controller: Writer


def find_workspace(settings: Settings, folder: Path) -> str:
    """The workspace that is meant when none is named."""
    if settings.workspace:
        return settings.workspace
    if found := nearest_workspace(folder):
        return str(found)
    raise WorkspaceMissing(
        f"no workspace was named, and neither {folder} nor a folder above it has a {DEFAULT_FOLDER}",
        hint="`raykqi init` makes one here; --workspace or RAYKQI_WORKSPACE names another.",
    )


def create_workspace(url: str, settings: Settings, *, clock: Clock | None = None) -> Description:
    """Make an empty workspace at `url`."""
    clock = clock or SystemClock()
    description = Description(FORMAT, IdMaker(clock).new(), clock.now())
    store = open_store(url, settings)
    try:
        _require_empty(store)
        store.create(DESCRIPTION_KEY, msgspec.json.format(msgspec.json.encode(description), indent=2) + b"\n")
    except ObjectExists as error:
        raise WorkspaceExists(f"there is a workspace at {store.url} already", hint="Open it as it is.") from error
    finally:
        store.close()
    return description


def _require_empty(store: Store) -> None:
    """A workspace among other files would be confusing at best."""
    other = next((item.key for item in store.list("") if item.key != DESCRIPTION_KEY), None)
    if other is not None and not store.exists(DESCRIPTION_KEY):
        raise TargetNotEmpty(
            f"{store.url} is not empty: it holds {other}", hint=f"Name an empty place, such as {store.url}/.raykqi."
        )


def open_parts(
    url: str,
    settings: Settings,
    *,
    clock: Clock | None = None,
    for_repair: bool = False,
    remote: Callable[[Description], RemoteEnd] | None = None,
) -> Parts:
    """Everything that an open workspace is made of, with the index up to date.

    `for_repair` opens it even when its journal is damaged; what needs the index then fails. Without `remote` it
    is embedded: this process commits. Else only what `remote` leads to does.
    """
    clock = clock or SystemClock()
    with ExitStack() as undo:
        store = open_store(url, settings)
        undo.callback(store.close)
        description = _describe(store)
        near = store.local_path("journal") is not None or store.url.startswith("memory:")
        index = Index(_index_directory(store, description, settings), description.id)
        undo.callback(index.close)
        controller: Writer
        if remote is not None:
            controller = FollowingController(
                keeper=IndexKeeper(store, Journal(store), index),
                remote=remote(description),
                clock=clock,
                freshness=0.0 if near else FOLLOWING_FRESHNESS,
            )
        else:
            ownership = open_ownership(store, user=settings.user)
            undo.callback(ownership.close)
            journal = Journal(store, guard=ownership.check)
            controller = Controller(
                keeper=IndexKeeper(store, journal, index),
                journal=journal,
                ownership=ownership,
                clock=clock,
                lock_timeout=settings.lock_timeout,
                freshness=0.0 if near else REMOTE_FRESHNESS,
            )
        try:
            controller.refresh()
        except Damaged:
            if not for_repair:
                raise
        undo.pop_all()
    return Parts(store, description, controller.keeper, controller)


def _describe(store: Store) -> Description:
    try:
        text = store.get(DESCRIPTION_KEY)
    except ObjectMissing as error:
        raise WorkspaceMissing(
            f"there is no workspace at {store.url}",
            hint=f"`raykqi init {store.url}` makes one; --workspace or RAYKQI_WORKSPACE names another.",
        ) from error
    try:
        format_ = msgspec.json.decode(text, type=dict[str, object]).get("format")
        if isinstance(format_, int) and format_ > FORMAT:
            raise WorkspaceTooNew(
                f"the workspace at {store.url} has format {format_}; this raykqi reads up to {FORMAT}",
                hint="Upgrade raykqi: pip install --upgrade raykqi.",
            )
        description = msgspec.json.decode(text, type=Description)
        if not is_id(description.id):
            raise ValueError(f"{description.id!r} is not an id")  # noqa: TRY301  it becomes a folder in the cache
    except (ValueError, RecursionError) as error:
        raise Damaged(
            f"{store.url}/{DESCRIPTION_KEY} is damaged: {error}",
            hint="Restore it from a backup; it holds format, id and time of creation.",
        ) from error
    return description


def _index_directory(store: Store, description: Description, settings: Settings) -> Path | None:
    if store.url.startswith("memory:"):
        return None
    return store.local_path("index") or settings.cache_dir / description.id / "index"
