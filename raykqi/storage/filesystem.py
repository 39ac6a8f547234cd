"""The one seam to object storage: what raykqi needs of a place that keeps bytes, and no more.

A `Store` maps keys (`blobs/ab/…`, always relative, `/`-separated) to immutable bytes under one root.
It needs of the file system: whole-object writes that appear at once, exclusive creation, ranged
reads, listing by prefix. It does not know trees, journals or tags.
`open_store` picks the implementation; each lies in its own `filesystem_*.py` beside this one, and a
local store never pays for the imports of a remote one.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from raykqi.domain.transfer import Presigned
from raykqi.errors import InvalidInput, UnsafePath
from raykqi.settings import Settings

__all__ = ["TEMPORARY", "ObjectInfo", "Store", "check_key", "check_range", "is_key", "open_store"]

TEMPORARY = "tmp/"  # the folder of unfinished writes: never listed, never part of a workspace

_KEY = re.compile(r"(?:(?!\.{1,2}(?:/|\Z))[^/\x00-\x1f\x7f\ud800-\udfff]+(?:/(?=[^/])|\Z))+\Z")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://")
_BUCKET = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{1,254}\Z")
_SCHEME_WITHOUT_SLASHES = re.compile(r"(file|memory|s3a?|gs|gcs|az|abfs|https?):")


class ObjectInfo(NamedTuple):
    key: str
    size: int
    modified: float  # seconds since the epoch, by the clock of the storage


class Store(ABC):
    """Every method raises only `StorageError`s and is safe to call from many threads.

    (A malformed key or range is `InvalidInput`; what `parts` or a source file raise passes through.)
    Transient faults (time-outs, 500, 503, refused connections) are retried with back-off for
    `settings.storage_timeout` seconds, then raised as `StorageUnavailable`.
    When a write returns, the bytes survive a crash of this machine.
    """

    url: str

    @abstractmethod
    def get(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        """The bytes, or the half-open range of them, cut off at the object's end.

        `ObjectMissing` when there is nothing.
        """

    @abstractmethod
    def put(self, key: str, data: bytes) -> None:
        """Write the whole object, replacing what was there; readers see the old or the new."""

    @abstractmethod
    def create(self, key: str, data: bytes) -> None:
        """Write the object only if nothing is there; `ObjectExists` when other bytes are there.

        Of several callers at once exactly one succeeds, if `creates_exclusively` and their bytes
        differ. Equal bytes count as success, since they may be this call's own after a lost answer:
        a caller that must tell itself from others puts something of its own into the bytes.
        Any other error leaves open whether the object was written: read it back before deciding.
        """

    @abstractmethod
    def put_file(self, key: str, path: Path) -> None:
        """Write the object from a local file, in parts when large, with bounded memory."""

    def adopt(self, key: str, path: Path) -> bool:  # noqa: ARG002
        """Make a file that nobody will write to again the object itself, without copying; False where that cannot be.

        The file stays where it is, too.
        """
        check_key(key)
        return False

    @abstractmethod
    def put_stream(self, key: str, parts: Iterable[bytes]) -> int:
        """Write the object from chunks of any size with bounded memory; returns the size.

        When `parts` raises, nothing becomes visible and the exception passes through.
        """

    @abstractmethod
    def read(self, key: str, start: int = 0, end: int | None = None, chunk: int = 4 << 20) -> Iterator[bytes]:
        """The bytes (or a range of them) in chunks, with bounded memory and read-ahead.

        Errors are raised by the iterator, not by this call.
        """

    @abstractmethod
    def info(self, key: str) -> ObjectInfo:
        """Size and time of the object. `ObjectMissing` when there is nothing."""

    @abstractmethod
    def exists(self, key: str) -> bool: ...

    @abstractmethod
    def list(self, prefix: str, *, after: str = "") -> Iterator[ObjectInfo]:
        """Every object below the folder `prefix` (`""` for all), sorted by key.

        Temporary files are left out, and what lies there under a name that is no key.
        With `after`, only keys that sort behind it, without reading those before it.
        """

    @abstractmethod
    def delete(self, keys: Iterable[str]) -> None:
        """Delete the objects; those that are not there are no error."""

    @abstractmethod
    def touch(self, key: str) -> bool:
        """Make the object young again for garbage collection; False when it is not there."""

    @abstractmethod
    def local_path(self, key: str) -> Path | None:
        """Where the object's bytes lie on this machine, for stores that are a local folder; else None."""

    def presign_get(
        self,
        key: str,
        expires: float,  # noqa: ARG002
        start: int = 0,
        end: int | None = None,
    ) -> Presigned | None:
        """A request that reads exactly this object, or this range of it, for so many seconds; None where none can be.

        The range is part of what is signed: the same URL reads nothing else of the object.
        """
        check_key(key)
        check_range(start, end)
        return None

    def presign_put(self, key: str, size: int, expires: float) -> Presigned | None:  # noqa: ARG002
        """A request that writes exactly this object, with so many bytes; None where none can be."""
        check_key(key)
        return None

    @property
    @abstractmethod
    def creates_exclusively(self) -> bool:
        """Whether `create` really refuses an existing key (probed once; some S3 servers overwrite)."""

    @abstractmethod
    def sweep_leftovers(self) -> int:
        """Remove what writers that died left unfinished; returns how many. Live writers are left alone."""

    @abstractmethod
    def close(self) -> None:
        """Give back connections and threads. Temporary leftovers of this process are removed."""


def is_key(name: str) -> bool:
    """False for what only others leave in our folders: broken encodings, the marks of empty folders in S3."""
    return _KEY.match(name) is not None


def check_key(key: str) -> str:
    """The key, if it is relative, clean and can be written down by every kind of storage."""
    if not is_key(key):
        raise UnsafePath(
            f"{key!r} is not a storage key",
            hint="Keys are relative paths: no leading or doubled '/', no '.' or '..' part, no control characters.",
        )
    return key


def check_range(start: int, end: int | None) -> None:
    if start < 0 or (end is not None and end < start):
        raise InvalidInput(
            f"bytes {start} to {end} are not a range", hint="Give 0 ≤ start ≤ end, or no end for the rest."
        )


def open_store(url: str, settings: Settings) -> Store:
    """The store at a path, `file://`, `s3://bucket/prefix` or `memory://name`.

    Opening makes nothing and asks no server: a place that cannot be reached shows at the first call.
    """
    scheme = _SCHEME.match(url)
    if scheme is None:
        return _open_local(url, url)
    protocol, rest = scheme[1].lower(), url[scheme.end() :]
    if protocol == "file":
        if not rest.startswith("/"):
            raise InvalidInput(f"{url!r} is not an absolute path", hint="Write file:///absolute/path, or a plain path.")
        return _open_local(url, unquote(rest))
    if "\0" in url:
        raise InvalidInput(f"{url!r} holds a NUL character", hint="Give a URL without it.")
    if protocol == "memory":
        return _open_memory(url, rest.strip("/"))
    if protocol == "s3":
        return _open_s3(url, rest, settings)
    if protocol in ("http", "https"):  # which may bring a token along, so it is not quoted
        raise InvalidInput(
            f"an address that begins with {protocol}:// is one of a server, not of a store",
            hint="Talk with a server by raykqi.connect(url), or raykqi --workspace URL.",
        )
    raise InvalidInput(
        f"{url!r}: {protocol}:// is not known", hint="Give a path, file:///path, s3://bucket/prefix or memory://name."
    )


def _open_local(url: str, path: str) -> Store:
    from raykqi.storage.filesystem_local import LocalStore

    if not path or "\0" in path:
        raise InvalidInput(
            f"{url!r} names no place for a workspace", hint="Give a folder or a URL like s3://bucket/lab."
        )
    mistyped = _SCHEME_WITHOUT_SLASHES.match(path)
    if mistyped:
        raise InvalidInput(
            f"{url!r} lacks the '//' of a URL", hint=f"Write {mistyped[1]}://…, or ./{path} for a folder."
        )
    root = Path(path).expanduser().absolute()
    if root.exists() and not root.is_dir():
        raise InvalidInput(f"{root} is a file", hint="Give a folder; it is made when it is not there.")
    return LocalStore(root)


def _open_s3(url: str, rest: str, settings: Settings) -> Store:
    from raykqi.storage.filesystem_s3 import S3Store

    bucket, _, prefix = rest.partition("/")
    prefix = prefix.strip("/")
    if _BUCKET.match(bucket) is None:
        raise InvalidInput(f"{url!r} names no bucket", hint="Write s3://bucket/prefix, for example s3://lab/raykqi.")
    if prefix:
        check_key(prefix)
    return S3Store(bucket, prefix, settings)


def _open_memory(url: str, name: str) -> Store:
    from raykqi.storage.filesystem_memory import MemoryStore

    if not name:
        raise InvalidInput(
            f"{url!r} names no memory store", hint="Write memory://NAME; equal names share their objects."
        )
    return MemoryStore.shared(name)
