"""Which objects of the store nobody needs: left behind by interrupted pushes, or used by no data any more."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing

from raykqi.storage.filesystem import ObjectInfo, Store
from raykqi.storage.parallel import Stop, in_order
from raykqi.storage.trees import read_tree, tree_key

__all__ = ["unreferenced"]

READERS = 8
# Trees first: were the deletion interrupted, no tree would be left that names objects which are gone.
FOLDERS = ("trees", "packs", "blobs")


def unreferenced(store: Store, live_trees: Iterable[str], *, now: float, grace_seconds: float) -> list[ObjectInfo]:
    """Objects older than the grace that no live tree names, in the order in which to delete them.

    A live tree that cannot be read is an error: what it names is unknown, so nothing may be deleted.
    """
    listed = [info for folder in FOLDERS for info in store.list(folder)]
    live = set(live_trees)
    needed = {tree_key(tree) for tree in live}

    def objects(tree: str) -> set[str]:
        return read_tree(store, tree).objects()

    with closing(in_order(objects, live, threads=READERS, stop=Stop())) as found:
        for keys in found:
            needed |= keys
    # Listed before the trees were read: what a push adds meanwhile is not in the list at all.
    return [info for info in listed if info.key not in needed and info.modified < now - grace_seconds]
