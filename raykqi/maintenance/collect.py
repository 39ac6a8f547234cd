"""Garbage collection: objects that no data needs are announced in the journal, then deleted.

The announcement is what makes it safe: an upload that relied on an announced object is refused at
its commit and stores the object again. Young objects are left alone, since a push stores its bytes
before it is known.
"""

from __future__ import annotations

import time

from raykqi.catalog.index import Index
from raykqi.catalog.queries import live_trees
from raykqi.controller.controller import Controller
from raykqi.controller.index_keeper import IndexKeeper
from raykqi.domain.events import ObjectsCondemned
from raykqi.domain.upkeep import Collection
from raykqi.engine.commands import Collected, Condemn
from raykqi.errors import InvalidInput, UploadStale
from raykqi.storage.filesystem import ObjectInfo, Store
from raykqi.storage.garbage import unreferenced

__all__ = ["collect"]

ATTEMPTS = 20
CHUNK = 10_000


def collect(
    store: Store, keeper: IndexKeeper, controller: Controller, *, by: str, dry_run: bool, grace_seconds: float
) -> Collection:
    if grace_seconds < 0:
        raise InvalidInput(f"a grace of {grace_seconds} seconds is not possible", hint="Give 0 or more.")
    controller.refresh()
    if dry_run:
        found = _unneeded(store, keeper.index, grace_seconds)
        return Collection(tuple(item.key for item in found), sum(item.size for item in found), dry_run=True)
    _end_earlier(store, keeper, controller, by)
    store.sweep_leftovers()
    found = _condemn(store, keeper, controller, by, grace_seconds)
    return Collection(tuple(item.key for item in found), sum(item.size for item in found), dry_run=False)


def _condemn(
    store: Store, keeper: IndexKeeper, controller: Controller, by: str, grace_seconds: float
) -> list[ObjectInfo]:
    """Announce and delete chunk by chunk, so that no journal entry grows without bound."""
    last_data = keeper.position.data
    unneeded = _unneeded(store, keeper.index, grace_seconds)
    collected: list[ObjectInfo] = []
    while unneeded:
        chunk, unneeded = unneeded[:CHUNK], unneeded[CHUNK:]
        for attempt in range(ATTEMPTS):
            command = Condemn(by, tuple(item.key for item in chunk), last_data)
            try:
                (event,) = controller.submit(command)
                break
            except UploadStale:
                if attempt == ATTEMPTS - 1:
                    raise
                chunk, unneeded, last_data = _spare_new(store, keeper, chunk, unneeded, last_data)
        assert isinstance(event, ObjectsCondemned)
        store.delete(event.objects)
        size = sum(item.size for item in chunk)
        controller.submit(Collected(by, event.generation, size))
        collected += chunk
    return collected


def _spare_new(
    store: Store, keeper: IndexKeeper, chunk: list[ObjectInfo], rest: list[ObjectInfo], last_data: int
) -> tuple[list[ObjectInfo], list[ObjectInfo], int]:
    """Data came in since: what they need is needed now."""
    from raykqi.storage.trees import read_tree, tree_key

    now = keeper.position.data
    needed: set[str] = set()
    for tree in live_trees(keeper.index, after=last_data):
        needed.add(tree_key(tree))
        needed |= read_tree(store, tree).objects()
    return [i for i in chunk if i.key not in needed], [i for i in rest if i.key not in needed], now


def _unneeded(store: Store, index: Index, grace_seconds: float) -> list[ObjectInfo]:
    return unreferenced(store, live_trees(index), now=time.time(), grace_seconds=grace_seconds)


def _end_earlier(store: Store, keeper: IndexKeeper, controller: Controller, by: str) -> None:
    """A collection that was interrupted: its objects are announced already, so they go now."""
    rows = keeper.index.rows("SELECT generation, object FROM condemned ORDER BY generation, object")
    for generation in sorted({generation for generation, _ in rows}):
        store.delete([key for its, key in rows if its == generation])
        controller.submit(Collected(by, generation, 0))
