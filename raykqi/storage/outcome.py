"""What a push wrote, what it found in the store, and what it therefore relies on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from raykqi.domain.data import TreeRef
from raykqi.storage.filesystem import Store
from raykqi.storage.presence import is_whole
from raykqi.storage.trees import StoredTree, tree_key

__all__ = ["Outcome", "Pushed"]


@dataclass(frozen=True)
class Pushed:
    tree: TreeRef
    reused: frozenset[str]  # keys of objects that this push relies on and did not write
    written_bytes: int
    skipped: tuple[str, ...] = ()  # folders that were left out: the workspace's own


@dataclass
class Outcome:
    """Filled from one thread or from many: sets and the dict behind them take single items safely."""

    reused: set[str] = field(default_factory=set)
    written: dict[str, int] = field(default_factory=dict)

    def store(self, store: Store, key: str, data: bytes) -> None:
        """Store an object named by its hash, unless it is there."""
        if is_whole(store, key, len(data)):
            self.reused.add(key)
        else:
            store.put(key, data)
            self.written[key] = len(data)

    def conclude(self, stored: StoredTree, skipped: Iterable[str] = ()) -> Pushed:
        reused = (self.reused | stored.tree.objects()) - set(self.written)
        if not stored.written:
            reused.add(tree_key(stored.tree.ref.hash))
        written = sum(self.written.values()) + stored.written
        return Pushed(stored.tree.ref, frozenset(reused), written, tuple(skipped))
