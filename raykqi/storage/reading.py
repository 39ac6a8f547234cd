"""Where the bytes of a tree's files are read from: the store, this machine's cache, or a place outside.

Hands out bytes that are not verified yet; whoever takes them compares each file with its hash and
calls `damaged` when it differs.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from pathlib import Path

from raykqi.errors import Damaged, ObjectMissing, RaykqiError
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store, open_store
from raykqi.storage.packs import is_external

__all__ = ["ObjectReader"]


class ObjectReader:
    """Safe to use from many threads. `close` gives back what was opened for foreign objects."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._foreign: dict[str, Store] = {}
        self._lock = threading.Lock()

    def get(self, key: str, start: int, end: int) -> bytes:
        place, name = self._locate(key)
        try:
            return place.get(name, start, end)
        except ObjectMissing as error:
            raise self.missing(key) from error

    def stream(self, key: str, start: int, end: int) -> Generator[bytes, None, None]:
        place, name = self._locate(key)
        try:
            yield from place.read(name, start, end)
        except ObjectMissing as error:
            raise self.missing(key) from error

    def local_path(self, key: str) -> Path | None:
        """A file of this machine that holds exactly the object's bytes."""
        if is_external(key):
            return None
        return self._store.local_path(key)

    def damaged(self, key: str, path: str) -> RaykqiError:
        if is_external(key):
            return Damaged(
                f"{key}, imported as {path!r}, changed since it was imported",
                hint="Import it again to take its present bytes as new data.",
            )
        return Damaged(
            f"object {key} of {self._store.url} is damaged: the bytes of {path!r} are not what was pushed",
            hint="Run `raykqi fsck --deep`; pushing the same files again repairs the object.",
        )

    def close(self) -> None:
        with self._lock:
            for store in self._foreign.values():
                store.close()
            self._foreign.clear()

    def _locate(self, key: str) -> tuple[Store, str]:
        if not is_external(key):
            return self._store, key
        folder, _, name = key.rpartition("/")
        with self._lock:
            if folder not in self._foreign:
                self._foreign[folder] = open_store(folder, self._settings)
            return self._foreign[folder], name

    def missing(self, key: str) -> RaykqiError:
        if is_external(key):
            return ObjectMissing(
                f"{key} vanished since it was imported", hint="Put it back there, or import the present objects."
            )
        return ObjectMissing(
            f"object {key} is missing in {self._store.url}",
            hint="Run `raykqi fsck` to see what is affected; pushing the same files again repairs it.",
        )
