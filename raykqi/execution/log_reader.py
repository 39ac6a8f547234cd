"""Reads the log of an attempt piece by piece as it grows, from any byte on."""

from __future__ import annotations

from collections.abc import Iterator

from raykqi.errors import ObjectMissing
from raykqi.execution.logs import chunk_key, log_folder
from raykqi.storage.filesystem import Store

__all__ = ["LogReader"]


class LogReader:
    """`at` is the byte up to which the log was read."""

    def __init__(self, store: Store, run: str, attempt: int) -> None:
        self.at = 0
        self._store = store
        self._run, self._attempt = run, attempt
        self._number = 0
        self._skip = 0  # bytes of the next chunk that are not wanted

    def seek(self, offset: int) -> None:
        """Begin at that byte, or at the end of what there is."""
        self.at = self._number = self._skip = 0
        for found in self._store.list(f"{log_folder(self._run, self._attempt)}/"):
            if not found.key.endswith(".log"):
                continue
            if self.at + found.size > offset:
                self._skip = offset - self.at
                self.at = offset
                return
            self.at += found.size
            self._number += 1

    def more(self) -> Iterator[bytes]:
        """What there is beyond `at`."""
        while True:
            try:
                data = self._store.get(chunk_key(self._run, self._attempt, self._number))
            except ObjectMissing:
                return
            piece = data[self._skip :]
            self._number += 1
            self._skip = 0
            self.at += len(piece)
            yield piece
