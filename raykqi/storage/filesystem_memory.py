"""Objects in this process's memory: for tests and for workspaces that nobody wants to keep.

Stores of one name share their objects for the life of the process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

from raykqi.errors import ObjectExists, ObjectMissing
from raykqi.storage.filesystem import TEMPORARY, ObjectInfo, Store, check_key, check_range

__all__ = ["MemoryStore"]


class MemoryStore(Store):
    _stores: ClassVar[dict[str, MemoryStore]] = {}
    _stores_lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, name: str) -> None:
        self.url = f"memory://{name}"
        self._lock = threading.Lock()
        self._objects: dict[str, tuple[bytes, float]] = {}

    @classmethod
    def shared(cls, name: str) -> MemoryStore:
        """The store of that name, made at its first use."""
        with cls._stores_lock:
            return cls._stores.setdefault(name, cls(name))

    def get(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        check_range(start, end)
        data, _ = self._found(key)
        return data[start:end]

    def put(self, key: str, data: bytes) -> None:
        check_key(key)
        with self._lock:
            self._objects[key] = (bytes(data), time.time())

    def create(self, key: str, data: bytes) -> None:
        check_key(key)
        with self._lock:
            there, _ = self._objects.setdefault(key, (bytes(data), time.time()))
        if there != data:
            raise ObjectExists(f"{self.url}/{key} already exists with other bytes")

    def put_file(self, key: str, path: Path) -> None:
        self.put(key, path.read_bytes())

    def put_stream(self, key: str, parts: Iterable[bytes]) -> int:
        check_key(key)
        data = b"".join(parts)
        self.put(key, data)
        return len(data)

    def read(self, key: str, start: int = 0, end: int | None = None, chunk: int = 4 << 20) -> Iterator[bytes]:
        data = self.get(key, start, end)
        for offset in range(0, len(data), chunk):
            yield data[offset : offset + chunk]

    def info(self, key: str) -> ObjectInfo:
        data, modified = self._found(key)
        return ObjectInfo(key, len(data), modified)

    def exists(self, key: str) -> bool:
        return check_key(key) in self._objects

    def list(self, prefix: str, *, after: str = "") -> Iterator[ObjectInfo]:
        folder = f"{check_key(prefix.rstrip('/'))}/" if prefix else ""
        with self._lock:
            found = [
                ObjectInfo(key, len(data), modified)
                for key, (data, modified) in self._objects.items()
                if key.startswith(folder) and key > after and not key.startswith(TEMPORARY)
            ]
        yield from sorted(found)

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            check_key(key)
            with self._lock:
                self._objects.pop(key, None)

    def touch(self, key: str) -> bool:
        check_key(key)
        with self._lock:
            if key not in self._objects:
                return False
            self._objects[key] = (self._objects[key][0], time.time())
            return True

    def local_path(self, key: str) -> Path | None:
        check_key(key)
        return None

    @property
    def creates_exclusively(self) -> bool:
        return True

    def sweep_leftovers(self) -> int:
        return 0

    def close(self) -> None:
        """Nothing to give back: the objects stay for the next store of this name."""

    def _found(self, key: str) -> tuple[bytes, float]:
        try:
            return self._objects[check_key(key)]
        except KeyError:
            raise ObjectMissing(f"{self.url}/{key} is not there") from None
