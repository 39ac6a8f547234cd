"""Stores that are real, in memory, and behave as badly as storage sometimes does."""

from __future__ import annotations

from collections.abc import Iterator

from raykqi.errors import ObjectExists, StorageUnavailable
from raykqi.storage.filesystem import ObjectInfo
from raykqi.storage.filesystem_memory import MemoryStore


class CountingStore(MemoryStore):
    """Writes down what it is asked."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.requests: list[str] = []

    def get(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        self.requests.append(f"get {key}")
        return super().get(key, start, end)

    def exists(self, key: str) -> bool:
        self.requests.append(f"exists {key}")
        return super().exists(key)

    def info(self, key: str) -> ObjectInfo:
        self.requests.append(f"info {key}")
        return super().info(key)

    def list(self, prefix: str, *, after: str = "") -> Iterator[ObjectInfo]:
        self.requests.append(f"list {prefix}")
        return super().list(prefix, after=after)


class FarStore(CountingStore):
    """Costs as much to ask as a bucket, as far as the journal can tell."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.url = f"s3://bucket/{name}"


class OverwritingStore(FarStore):
    """Like a server that ignores conditions: looks before it writes, and no more."""

    def create(self, key: str, data: bytes) -> None:
        if key in self._objects and self._objects[key][0] != data:
            raise ObjectExists(f"{self.url}/{key} already exists with other bytes")
        self.put(key, data)

    @property
    def creates_exclusively(self) -> bool:
        return False


class LosesAnswers(FarStore):
    """The next `create` calls end without an answer: done or not, as `script` says; reads fail while `away`.

    `done`: written, then no answer. `lost`: not written. `late`: not written now, but as soon as
    something is read.
    """

    def __init__(self, name: str, *script: str) -> None:
        super().__init__(name)
        self._script = list(script)
        self._late: tuple[str, bytes] | None = None
        self.away = False

    def create(self, key: str, data: bytes) -> None:
        step = self._script.pop(0) if self._script and key.startswith("journal/0") else ""
        if not step:
            super().create(key, data)
            return
        if step == "done":
            super().create(key, data)
        elif step == "late":
            self._late = key, data
        raise StorageUnavailable(f"{self.url}/{key}: no answer for 60 s")

    def get(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        if self.away:
            raise StorageUnavailable(f"{self.url}/{key}: connection refused")
        try:
            return super().get(key, start, end)
        finally:
            if self._late:
                late, self._late = self._late, None
                self._objects.setdefault(late[0], (late[1], 0.0))
