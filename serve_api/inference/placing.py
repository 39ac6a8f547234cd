"""The trees that a replica's models need, as files in a folder that goes with the replica."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path

from raykqi.cluster.held_folder import held_folder
from raykqi.execution.folders import remove_folder
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store
from raykqi.storage.materialise import materialise
from raykqi.storage.trees import read_tree

__all__ = ["Places"]


class Places:
    """Safe to use from threads: one tree is made at a time, and stays for as long as anybody holds it."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._holders: dict[str, int] = {}
        self._making = threading.Lock()
        self._undo = ExitStack()
        self._folder: Path | None = None

    def take(self, tree: str) -> Path:
        """Where it lies; every file was compared with its hash."""
        with self._making:
            target = self._own() / tree
            if tree not in self._holders:
                remove_folder(target)
                materialise(self._store, read_tree(self._store, tree), target, settings=self._settings)
            self._holders[tree] = self._holders.get(tree, 0) + 1
            return target

    def release(self, tree: str) -> None:
        with self._making:
            left = self._holders.pop(tree, 0) - 1
            if left > 0:
                self._holders[tree] = left
            elif self._folder:
                remove_folder(self._folder / tree)

    def close(self) -> None:
        with self._making:
            self._undo.close()
            self._folder = None
            self._holders.clear()

    def _own(self) -> Path:
        if self._folder is None:
            parent = self._settings.cache_dir / "serving"
            parent.mkdir(parents=True, exist_ok=True)
            self._folder = self._undo.enter_context(held_folder(parent))
        return self._folder
