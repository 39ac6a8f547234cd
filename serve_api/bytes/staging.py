"""Private folders on this machine's disk in which uploads take shape; none outlives its upload or its process."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from raykqi.storage.filesystem_temporary import is_leftover, temporary_name
from serve_api.bytes.limits import UploadLimits
from serve_api.bytes.staged_tree import StagedTree

__all__ = ["StagingArea"]


class StagingArea:
    """`sweep` at start takes away what processes that died have left."""

    def __init__(self, root: Path, limits: UploadLimits) -> None:
        self.root = root
        self.limits = limits

    @contextmanager
    def tree(self, expected: int = 0) -> Iterator[StagedTree]:
        """An empty tree; it is gone when the block is left. `expected` bytes must find room, and be allowed."""
        tree = self.open(expected)
        try:
            yield tree
        finally:
            self.remove(tree)

    def open(self, expected: int = 0) -> StagedTree:
        folder = self.root / temporary_name()
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
        tree = StagedTree(folder / "", self.limits)
        try:
            tree.require(expected)
            tree.require_space(expected)
        except BaseException:
            self.remove(tree)
            raise
        return tree

    def remove(self, tree: StagedTree) -> None:
        tree.close()
        _remove(tree.folder)

    def sweep(self) -> int:
        removed = 0
        try:
            names = os.listdir(self.root)
        except FileNotFoundError:
            return 0
        for name in names:
            try:
                if is_leftover(name, self.root / name):
                    _remove(self.root / name)
                    removed += 1
            except FileNotFoundError:  # another process sweeps too
                continue
        return removed


def _remove(folder: Path) -> None:
    for path, _, _ in os.walk(folder):  # from above, so that each folder can be entered when its turn comes
        os.chmod(path, stat.S_IRWXU)
    shutil.rmtree(folder, onerror=_unless_gone)


def _unless_gone(_: Callable[..., Any], __: str, problem: Any) -> None:
    if not isinstance(problem[1], FileNotFoundError):
        raise problem[1]
