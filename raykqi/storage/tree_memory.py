"""Listings that were read lately: whoever fetches the files of a data one by one reads its tree once."""

from __future__ import annotations

import threading
from collections import OrderedDict

from raykqi.storage.filesystem import Store
from raykqi.storage.trees import Tree, read_tree

__all__ = ["forget_trees", "remembered_tree"]

ROWS = 100_000  # of all remembered trees together; the latest is kept whatever its size

_trees: OrderedDict[tuple[str, str], Tree] = OrderedDict()
_lock = threading.Lock()


def remembered_tree(store: Store, tree_hash: str) -> Tree:
    key = (store.url, tree_hash)
    with _lock:
        if found := _trees.get(key):
            _trees.move_to_end(key)
            return found
    tree = read_tree(store, tree_hash)
    with _lock:
        _trees[key] = tree
        _trees.move_to_end(key)
        while len(_trees) > 1 and sum(map(len, _trees.values())) > ROWS:
            _trees.popitem(last=False)
    return tree


def forget_trees() -> None:
    """Called when something that a tree names is not where the tree said: it may have been stored anew."""
    with _lock:
        _trees.clear()
