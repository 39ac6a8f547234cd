"""A store in memory that fails when it is told to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from raykqi.errors import StorageError, StorageUnavailable
from raykqi.storage.filesystem_memory import MemoryStore

__all__ = ["FailingStore"]


class FailingStore(MemoryStore):
    """Keeps bytes until `failure` is set; `loses_answers` stores them and fails all the same.

    While `held`, writers of journal entries wait.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.failure: StorageError | None = None
        self.loses_answers = False
        self.is_away = False
        self.before_create: Callable[[], None] | None = None
        self._has_writer = threading.Event()
        self._gate = threading.Event()
        self._gate.set()

    @contextmanager
    def held(self) -> Iterator[None]:
        self._gate.clear()
        self._has_writer.clear()
        try:
            yield
        finally:
            self._gate.set()

    def wait_for_writer(self) -> None:
        assert self._has_writer.wait(20)

    def create(self, key: str, data: bytes) -> None:
        if key.startswith("journal/"):
            first, self.before_create = self.before_create, None
            if first:
                first()
            self._has_writer.set()
            self._gate.wait(20)
            if self.failure:
                raise self.failure
            if self.loses_answers:
                super().create(key, data)
                self.is_away = True
                raise StorageUnavailable(f"{self.url}/{key}: no answer")
        super().create(key, data)

    def get(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        if self.is_away:
            raise StorageUnavailable(f"{self.url}/{key}: connection refused")
        return super().get(key, start, end)
