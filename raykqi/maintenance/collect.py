"""Garbage collection: objects that no data needs are announced in the journal, then deleted.

The announcement is what makes it safe: an upload that relies on an announced object is refused at
its commit and stores the object again; data recorded before it are looked at once more, and what
they need is spared. Young objects are left alone, since a push stores its bytes before it is known.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from raykqi.catalog.queries import live_trees
from raykqi.controller.index_keeper import IndexKeeper
from raykqi.controller.writer import Writer
from raykqi.domain.events import ObjectsCondemned
from raykqi.domain.upkeep import Collection
from raykqi.engine.commands import Collected, Condemn
from raykqi.errors import Conflict, InvalidInput
from raykqi.maintenance.turn import turn_to_collect
from raykqi.storage.filesystem import ObjectInfo, Store
from raykqi.storage.garbage import unreferenced
from raykqi.storage.uploads import expired_uploads

__all__ = ["collect"]

CHUNK = 10_000


def collect(
    store: Store, keeper: IndexKeeper, controller: Writer, *, by: str, dry_run: bool, grace_seconds: float
) -> Collection:
    if grace_seconds < 0:
        raise InvalidInput(f"a grace of {grace_seconds} seconds is not possible", hint="Give 0 or more.")
    controller.refresh()
    expired = expired_uploads(store, datetime.now(UTC), grace_seconds)
    expired += _logs_of_removed_endpoints(store, keeper, grace_seconds)
    if dry_run:
        live = keeper.sound(lambda: live_trees(keeper.index))
        unneeded, too_young = _unneeded(store, live, grace_seconds)
        return _collection(expired + unneeded, too_young, dry_run=True)
    # Nothing is ever made of these, so nobody needs to be told before they go.
    store.delete([item.key for item in expired])
    with turn_to_collect(store, by):
        _end_earlier(store, keeper, controller, by)
        store.sweep_leftovers()
        found, young = _condemn(store, keeper, controller, by, grace_seconds)
    return _collection(expired + found, young, dry_run=False)


def _collection(found: list[ObjectInfo], young: list[ObjectInfo], *, dry_run: bool) -> Collection:
    return Collection(
        objects=tuple(item.key for item in found),
        bytes=sum(item.size for item in found),
        dry_run=dry_run,
        young=len(young),
        young_bytes=sum(item.size for item in young),
    )


def _logs_of_removed_endpoints(store: Store, keeper: IndexKeeper, grace_seconds: float) -> list[ObjectInfo]:
    """Those of runs go with their runs; replicas write on for a moment after their endpoint was removed."""
    removed = keeper.sound(lambda: keeper.index.rows("SELECT id FROM endpoint WHERE removed IS NOT NULL"))
    until = time.time() - grace_seconds
    return [item for (id_,) in removed for item in store.list(f"logs/{id_}/") if item.modified < until]


def _unneeded(store: Store, live: set[str], grace_seconds: float) -> tuple[list[ObjectInfo], list[ObjectInfo]]:
    """What nobody needs: old enough to go, and too young."""
    now = time.time()
    everything = unreferenced(store, live, now=now, grace_seconds=0.0)
    old = [item for item in everything if item.modified < now - grace_seconds]
    return old, [item for item in everything if item.modified >= now - grace_seconds]


def _condemn(
    store: Store, keeper: IndexKeeper, controller: Writer, by: str, grace_seconds: float
) -> tuple[list[ObjectInfo], list[ObjectInfo]]:
    """Announce and delete chunk by chunk, so that no journal entry grows without bound."""
    with keeper.writing:  # not while another thread makes the index anew
        last_data, live = keeper.sound(lambda: (keeper.position.data, live_trees(keeper.index)))
    unneeded, young = _unneeded(store, live, grace_seconds)
    collected: list[ObjectInfo] = []
    for start in range(0, len(unneeded), CHUNK):
        chunk = unneeded[start : start + CHUNK]
        (event,) = controller.submit(Condemn(by, tuple(item.key for item in chunk)))
        assert isinstance(event, ObjectsCondemned)
        needed = _needed_since(store, keeper, last_data, event.generation)
        doomed = [item for item in chunk if item.key not in needed]
        store.delete([item.key for item in doomed])
        controller.submit(Collected(by, event.generation, sum(item.size for item in doomed)))
        collected += doomed
    return collected, young


def _needed_since(store: Store, keeper: IndexKeeper, last_data: int, generation: int) -> set[str]:
    """What data need that came in before the announcement: none can need an announced object after it."""
    from raykqi.storage.trees import read_tree, tree_key

    with keeper.writing:
        keeper.catch_up()
        if keeper.position.generation != generation:
            raise Conflict("another collection ended this one", hint="Run `raykqi gc` again.")
        live = keeper.sound(lambda: live_trees(keeper.index, after=last_data))
    needed = {tree_key(tree) for tree in live}
    for tree in live:
        needed |= read_tree(store, tree).objects()
    return needed


def _end_earlier(store: Store, keeper: IndexKeeper, controller: Writer, by: str) -> None:
    """A collection that was interrupted: what it announced and nothing needs goes now."""
    with keeper.writing:
        rows = keeper.sound(lambda: keeper.index.rows("SELECT generation, object FROM condemned ORDER BY ALL"))
        live = keeper.sound(lambda: live_trees(keeper.index))
    if not rows:
        return
    unneeded = {item.key for item in unreferenced(store, live, now=time.time(), grace_seconds=0.0)}
    for generation in sorted({generation for generation, _ in rows}):
        store.delete([key for its, key in rows if its == generation and key in unneeded])
        controller.submit(Collected(by, generation, 0))
