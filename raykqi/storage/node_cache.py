"""Objects of remote stores kept on this machine, up to a number of bytes, the longest unused going first.

Objects are named by their hash, so that all stores and processes share one folder. Whatever is
taken in is verified; whoever reads verifies again and discards what decayed. Nothing that goes
wrong here fails a read: the store is asked instead.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from blake3 import blake3

from raykqi.storage.filesystem import Store
from raykqi.storage.packs import hash_of_key

__all__ = ["NodeCache"]

# One object never takes more than this part of the cache: it would push out everything else.
LARGEST_PART = 4
RECOUNT = 256  # objects taken in before looking what other processes did
ABANDONED = 24 * 3600.0  # seconds after which an unfinished file is nobody's


class _Kept(NamedTuple):
    used: float
    size: int
    path: str


class NodeCache:
    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder / "objects"
        self._limit = limit
        self._lock = threading.Lock()
        self._total = 0
        self._until_recount = 0

    def open(self, key: str) -> int | None:
        """A descriptor of the object, if it is kept here; it stays good when the object is pushed out."""
        try:
            file = os.open(self.path(key), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        with contextlib.suppress(OSError):
            os.utime(file)
        return file

    def holds(self, key: str) -> bool:
        return self.path(key).exists()

    def take(self, store: Store, key: str, size: int) -> None:
        """Fetch a whole object from the store. `size` may be an underestimate."""
        if size > self._limit // LARGEST_PART or self.holds(key):
            return
        unfinished = self._folder / f".{os.getpid()}-{os.urandom(8).hex()}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError:
            return
        try:
            try:
                fetched = self._fetch(store, key, file)
            finally:
                os.close(file)
            if fetched and self._make_room(fetched):
                self.path(key).parent.mkdir(exist_ok=True)
                unfinished.replace(self.path(key))
        except OSError:
            return
        finally:
            unfinished.unlink(missing_ok=True)

    def discard(self, key: str) -> bool:
        """Forget an object whose bytes turned out wrong; False when it is not kept here."""
        try:
            self.path(key).unlink()
        except OSError:
            return False
        return True

    def _fetch(self, store: Store, key: str, file: int) -> int:
        """The size of what was fetched, or 0 if it is not what its name says."""
        hasher = blake3()
        size = 0
        for piece in store.read(key):
            hasher.update(piece)
            size += len(piece)
            view = memoryview(piece)
            while view:
                view = view[os.write(file, view) :]
        return size if hasher.hexdigest() == hash_of_key(key) else 0

    def _make_room(self, size: int) -> bool:
        with self._lock:
            self._until_recount -= 1
            if self._until_recount < 0 or self._total + size > self._limit:
                self._total = self._shrink(self._limit - size)
                self._until_recount = RECOUNT
            if self._total + size > self._limit:
                return False
            self._total += size
            return True

    def _shrink(self, limit: int) -> int:
        """Remove the longest unused until `limit` bytes are left; returns how many are left."""
        kept = sorted(self._kept())
        total = sum(each.size for each in kept)
        for each in kept:
            if total <= limit:
                break
            with contextlib.suppress(OSError):
                os.unlink(each.path)
                total -= each.size
        return total

    def _kept(self) -> Iterator[_Kept]:
        for entry in _entries(self._folder):
            if entry.name.startswith("."):
                with contextlib.suppress(OSError):
                    if entry.stat().st_mtime < time.time() - ABANDONED:
                        os.unlink(entry.path)
                continue
            for kept in _entries(entry.path):
                with contextlib.suppress(OSError):
                    found = kept.stat()
                    yield _Kept(found.st_mtime, found.st_size, kept.path)

    def path(self, key: str) -> Path:
        """Where the object is, if it is kept here."""
        name = hash_of_key(key)
        return self._folder / name[:2] / name


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []
