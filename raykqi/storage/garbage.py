"""Which objects of the store nobody needs: left behind by interrupted pushes, used by no data any more, or healed.

What was set aside as damaged may hold the last readable bytes of a file, until its object is stored anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing

from raykqi.storage.filesystem import ObjectInfo, Store
from raykqi.storage.packs import set_aside_key
from raykqi.storage.parallel import Stop, in_order
from raykqi.storage.trees import read_tree, tree_key

__all__ = ["unreferenced"]

READERS = 8
# Trees first: were the deletion interrupted, no tree would be left that names objects which are gone.
FOLDERS = ("trees", "packs", "blobs")


def unreferenced(store: Store, live_trees: Iterable[str], *, now: float, grace_seconds: float) -> list[ObjectInfo]:
    """Objects older than the grace that no live tree names, and damaged ones of which there is a new copy,
    in the order in which to delete them.

    A live tree that cannot be read is an error: what it names is unknown, so nothing may be deleted.
    """
    set_aside = [info for folder in FOLDERS for info in store.list(set_aside_key(folder))]
    listed = [info for folder in FOLDERS for info in store.list(folder)]
    healed = {set_aside_key(info.key) for info in listed}
    live = set(live_trees)
    needed = {tree_key(tree) for tree in live}

    def objects(tree: str) -> set[str]:
        return read_tree(store, tree).objects()

    with closing(in_order(objects, live, threads=READERS, stop=Stop())) as found:
        for keys in found:
            needed |= keys
    # Listed before the trees were read: what a push adds meanwhile is not in the list at all.
    unneeded = [info for info in listed if info.key not in needed]
    unneeded += [info for info in set_aside if info.key in healed]
    return [info for info in unneeded if info.modified < now - grace_seconds]
