"""Where the bytes of a tree's files are read from: the store, this machine's cache, or a place outside.

Hands out bytes that are not verified yet; whoever takes them compares each file with its hash and
raises `damaged` when it differs.
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path

from raykqi.errors import Damaged, ObjectMissing, RaykqiError, StorageDenied
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store
from raykqi.storage.foreign import ForeignStores
from raykqi.storage.node_cache import NodeCache
from raykqi.storage.packs import is_external, set_aside_key

__all__ = ["ObjectReader"]

PIECE = 1 << 20


class ObjectReader:
    """Safe to use from many threads. `close` gives back what was opened for foreign objects."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._foreign = ForeignStores(settings)
        self.is_remote = store.local_path("blobs") is None
        cached = self.is_remote and settings.cache_bytes
        self._cache = NodeCache(settings.cache_dir, settings.cache_bytes) if cached else None
        self._keeping: dict[str, threading.Lock] = defaultdict(threading.Lock)

    def get(self, key: str, start: int, end: int) -> bytes:
        missing: ObjectMissing | None = None
        for place, name in self._places(key):
            try:
                return place.get(name, start, end)
            except ObjectMissing as error:
                missing = error
        raise self.missing(key) from missing

    def stream(self, key: str, start: int, end: int) -> Generator[bytes, None, None]:
        if self._cache and (file := self._cache.open(key)) is not None:
            yield from _pieces(file, start, end)
            return
        missing: ObjectMissing | None = None
        begun = False
        for place, name in self._places(key):
            try:
                for piece in place.read(name, start, end):
                    begun = True
                    yield piece
            except ObjectMissing as error:
                missing = error
                if begun:
                    break
            else:
                return
        raise self.missing(key) from missing

    def keep(self, key: str, size: int) -> None:
        """Have the whole object on this machine, if it may be kept: most of it is about to be read."""
        if self._cache and not is_external(key):
            with self._keeping[key], suppress(ObjectMissing):  # whoever reads it will be told
                self._cache.take(self._store, key, size)

    def kept_path(self, key: str) -> Path | None:
        """Where the cache has the object, or had it a moment ago."""
        return self._cache.path(key) if self._cache and self._cache.holds(key) else None

    def discard(self, key: str) -> bool:
        """Called for wrong bytes; whether they came from the cache and are worth another try."""
        return self._cache is not None and self._cache.discard(key)

    def open_local(self, key: str) -> int | None:
        """A descriptor of a file of this machine that holds exactly the object's bytes, if there is one."""
        if is_external(key):
            return None
        if self._cache:
            return self._cache.open(key)
        path = self._store.local_path(key)
        if path is None:
            return None
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except PermissionError as error:
            raise StorageDenied(
                f"cannot read {path}: {error.strerror}", hint="Ask for the right to read it."
            ) from error

    def damaged(self, key: str, path: str) -> RaykqiError:
        if is_external(key):
            return Damaged(
                f"{key}, imported as {path!r}, changed since it was imported",
                hint="Import it again to take its present bytes as new data.",
            )
        return Damaged(
            f"object {key} of {self._store.url} is damaged: the bytes of {path!r} are not what was pushed",
            hint="Run `raykqi fsck --deep --repair`, then push the same files again.",
        )

    def missing(self, key: str) -> RaykqiError:
        if is_external(key):
            return ObjectMissing(
                f"{key} vanished since it was imported", hint="Put it back there, or import the present objects."
            )
        return ObjectMissing(
            f"object {key} is missing in {self._store.url}",
            hint="Run `raykqi fsck` to see what is affected, then push the same files again.",
        )

    def close(self) -> None:
        self._foreign.close()

    def _places(self, key: str) -> Iterator[tuple[Store, str]]:
        """Where to look, in order. Of a pack that was set aside as damaged, most files are good still."""
        if is_external(key):
            place, _, name = self._foreign.locate(key)
            yield place, name
        else:
            yield self._store, key
            yield self._store, set_aside_key(key)


def _pieces(file: int, start: int, end: int) -> Generator[bytes, None, None]:
    try:
        while start < end and (piece := os.pread(file, min(PIECE, end - start), start)):
            yield piece
            start += len(piece)
    finally:
        os.close(file)
