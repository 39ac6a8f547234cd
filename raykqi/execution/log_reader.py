"""Reads the log of an attempt piece by piece as it grows, from any byte on."""

from __future__ import annotations

from collections.abc import Iterator

from raykqi.errors import ObjectMissing
from raykqi.journal.settling import is_near
from raykqi.storage.filesystem import ObjectInfo, Store

__all__ = ["LogReader", "chunk_key", "log_folder"]


class LogReader:
    """`at` is the byte up to which the log was read."""

    def __init__(self, store: Store, run: str, attempt: int | str) -> None:
        self.at = 0
        self._store = store
        self._run, self._attempt = run, attempt
        self._number = 0
        self._skip = 0  # bytes of that chunk that were read, or are not wanted
        self._grows = is_near(store)  # the newest chunk, until there is a next one

    def seek(self, offset: int) -> None:
        """Begin at that byte, or at the end of what there is."""
        self.at = self._number = self._skip = 0
        chunks = [found for found in self._store.list(f"{log_folder(self._run, self._attempt)}/") if _is_chunk(found)]
        for number, found in enumerate(chunks):
            is_last = self._grows and number == len(chunks) - 1  # it may become longer
            if is_last or self.at + found.size > offset:
                self._number, self._skip = number, min(offset - self.at, found.size)
                self.at += self._skip
                return
            self.at += found.size
        self._number = len(chunks)

    def more(self) -> Iterator[bytes]:
        """What there is beyond `at`."""
        while (piece := self._rest()) is not None:
            if piece:
                yield self._took(piece)
            if self._grows:
                if not self._store.exists(self._key(self._number + 1)):
                    return
                if piece := self._rest():  # written before the next chunk was begun
                    yield self._took(piece)
            self._number += 1
            self._skip = 0

    def _rest(self) -> bytes | None:
        try:
            return self._store.get(self._key(self._number), self._skip)
        except ObjectMissing:
            return None

    def _took(self, piece: bytes) -> bytes:
        self._skip += len(piece)
        self.at += len(piece)
        return piece

    def _key(self, number: int) -> str:
        return chunk_key(self._run, self._attempt, number)


def log_folder(run: str, attempt: int | str) -> str:
    """Of an attempt of a run by its number; of an endpoint by the name of a replica."""
    return f"logs/{run}/{attempt}"


def chunk_key(run: str, attempt: int | str, number: int) -> str:
    return f"{log_folder(run, attempt)}/{number:08d}.log"


def _is_chunk(found: ObjectInfo) -> bool:
    return found.key.endswith(".log")
