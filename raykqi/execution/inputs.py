"""Trees on this node: made once, verified, and shared by all runs that read them.

Each lies in `<cache>/inputs/<tree>/tree` with a file that its users hold locked, so that none is
taken away from under a run and what a dead process held is free. When together they exceed the
limit of the cache, those that were unused for longest go.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from raykqi.execution.folders import remove_folder
from raykqi.execution.waiting import looks, try_lock
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store
from raykqi.storage.materialise import materialise
from raykqi.storage.progress import Progress
from raykqi.storage.trees import Tree, read_tree

__all__ = ["SharedTrees", "take_away_writing", "write_private"]

LARGEST_PART = 2  # a tree larger than this part of the cache is made for its run alone


class SharedTrees:
    """The trees that one run holds; `close` lets go of them."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.folder = settings.cache_dir / "inputs"
        self._store = store
        self._settings = settings
        self._locks: list[int] = []

    def close(self) -> None:
        for lock in self._locks:
            os.close(lock)
        self._locks.clear()

    def place(self, tree_hash: str, progress: Progress | None = None) -> Path | None:
        """Where the tree lies for as long as this is open; None when it is too large to be kept."""
        own = self.folder / tree_hash
        tree = own / "tree"
        check = (lambda: progress.advance(0, 0)) if progress else (lambda: None)
        listing: Tree | None = None
        for _ in looks(check):
            lock = self._lock(own, fcntl.LOCK_SH)
            if lock is not None and tree.is_dir():
                with contextlib.suppress(OSError):
                    os.utime(own)
                self._locks.append(lock)
                return tree
            if lock is not None:
                os.close(lock)
            listing = listing or read_tree(self._store, tree_hash)
            if listing.ref.size > self._settings.cache_bytes // LARGEST_PART:
                return None
            lock = self._lock(own, fcntl.LOCK_EX)
            if lock is None:
                continue  # another run makes it, or has made it just now and holds it
            self._locks.append(lock)
            if not tree.is_dir():
                self._make(listing, own, progress)
            fcntl.flock(lock, fcntl.LOCK_SH)
            if tree.is_dir():
                return tree
        raise AssertionError

    def _make(self, listing: Tree, own: Path, progress: Progress | None) -> None:
        self._make_room(listing.ref.size, own)
        materialise(
            self._store, listing, own / "tree", settings=self._settings, progress=progress, allow_unsafe_links=True
        )
        (own / "size").write_text(str(listing.ref.size))

    def _make_room(self, size: int, own: Path) -> None:
        kept = sorted(self._others(own))
        total = size + sum(each for _, each, _ in kept)
        for _, each, folder in kept:
            if total <= self._settings.cache_bytes:
                return
            if _removed(folder):
                total -= each

    def _others(self, own: Path) -> Iterator[tuple[float, int, Path]]:
        for folder in self.folder.iterdir():
            if folder != own:
                with contextlib.suppress(OSError, ValueError):
                    size = folder / "size"
                    yield folder.stat().st_mtime, int(size.read_text()) if size.exists() else 0, folder

    def _lock(self, own: Path, kind: int) -> int | None:
        """None when it cannot be had now. The file is never deleted by others while it is locked."""
        own.mkdir(parents=True, exist_ok=True)
        lock = try_lock(own / "lock", kind)
        if lock is None:
            return None
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), os.stat(own / "lock")):
                return lock
        os.close(lock)
        return None


def write_private(store: Store, tree_hash: str, target: Path, settings: Settings, progress: Progress | None) -> None:
    """The tree for one run alone."""
    materialise(
        store,
        read_tree(store, tree_hash),
        target,
        settings=settings,
        progress=progress,
        allow_unsafe_links=True,
    )


def take_away_writing(folder: Path) -> None:
    """The best there is where nothing can be mounted: no one but root may change it."""
    for path, _, files in os.walk(folder, topdown=False):
        for name in files:
            if not os.path.islink(f"{path}/{name}"):
                os.chmod(f"{path}/{name}", os.stat(f"{path}/{name}").st_mode & ~0o222)
        os.chmod(path, os.stat(path).st_mode & ~0o222)


def _removed(folder: Path) -> bool:
    """False when a run uses it."""
    try:
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return remove_folder(folder)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        remove_folder(folder / "tree")
        return remove_folder(folder)
    finally:
        os.close(lock)
