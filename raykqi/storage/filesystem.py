"""The one seam to object storage: what raykqi needs of a place that keeps bytes, and no more.

A `Store` maps keys (`blobs/ab/…`, always relative, `/`-separated) to immutable bytes under one root.
It needs of the file system: whole-object writes that appear at once, exclusive creation, ranged
reads, listing by prefix. It does not know trees, journals or tags.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["ObjectInfo", "Store"]


class ObjectInfo(NamedTuple):
    key: str
    size: int
    modified: float  # seconds since the epoch, by the clock of the storage


class Store(ABC):
    """Every method raises only `StorageError`s and is safe to call from many threads.

    Transient faults (time-outs, 500, 503, refused connections) are retried with back-off for
    `settings.storage_timeout` seconds, then raised as `StorageUnavailable`.
    When a write returns, the bytes survive a crash of this machine.
    """

    url: str

    @abstractmethod
    def get(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        """The bytes, or the half-open range of them. `ObjectMissing` when there is nothing."""

    @abstractmethod
    def put(self, key: str, data: bytes) -> None:
        """Write the whole object, replacing what was there; readers see the old or the new."""

    @abstractmethod
    def create(self, key: str, data: bytes) -> None:
        """Write the object only if nothing is there; `ObjectExists` otherwise.

        Of several callers at once exactly one succeeds, if `creates_exclusively`. A call whose
        answer was lost is settled by reading back and comparing: equal bytes count as success.
        """

    @abstractmethod
    def put_file(self, key: str, path: Path) -> None:
        """Write the object from a local file, in parts when large, with bounded memory."""

    @abstractmethod
    def put_stream(self, key: str, parts: Iterable[bytes]) -> int:
        """Write the object from chunks of any size with bounded memory; returns the size.

        When `parts` raises, nothing becomes visible and the exception passes through.
        """

    @abstractmethod
    def read(self, key: str, start: int = 0, end: int | None = None, chunk: int = 4 << 20) -> Iterator[bytes]:
        """The bytes (or a range of them) in chunks, with bounded memory and read-ahead."""

    @abstractmethod
    def info(self, key: str) -> ObjectInfo:
        """Size and time of the object. `ObjectMissing` when there is nothing."""

    @abstractmethod
    def exists(self, key: str) -> bool: ...

    @abstractmethod
    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Every object below the folder `prefix` (`""` for all), sorted by key. Temporary files are left out."""

    @abstractmethod
    def delete(self, keys: Iterable[str]) -> None:
        """Delete the objects; those that are not there are no error."""

    @abstractmethod
    def touch(self, key: str) -> bool:
        """Make the object young again for garbage collection; False when it is not there."""

    @abstractmethod
    def local_path(self, key: str) -> Path | None:
        """Where the object's bytes lie on this machine, for stores that are a local folder; else None."""

    @property
    @abstractmethod
    def creates_exclusively(self) -> bool:
        """Whether `create` really refuses an existing key (probed once; some S3 servers overwrite)."""

    @abstractmethod
    def close(self) -> None:
        """Give back connections and threads. Temporary leftovers of this process are removed."""
