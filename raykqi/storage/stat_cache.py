"""What earlier pushes learnt about a source directory, so that unchanged files are neither read nor sent again.

One pair of files per store and source: `<source>.files`, to which every finished pack adds a frame,
and `<source>.tree` with the outcome of the last whole push. Both only save work: a frame that does not
fit its checksum ends the reading, and nothing that goes wrong here ever fails a push.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from blake3 import blake3

from raykqi.domain.data import TreeRef
from raykqi.storage.scan import Scan

__all__ = ["RACY_NS", "UNTRUSTED", "KnownFile", "SourceMemory", "StatCache", "WholePush"]

# A file written in the tick of the clock in which it was read may change again without a new stamp;
# two seconds is the coarsest stamp of any file system in use.
RACY_NS = 2_000_000_000
MAGIC = b"raykqi-stat-1\n"
MAX_SOURCES = 512  # pairs of files kept per store


# Where a file's bytes lie in the store: path, size, device, inode, modified_ns, changed_ns, hash, object, offset.
# Device `UNTRUSTED` marks content whose stamp proves nothing. Plain tuples, for the reason given at `RawStamp`.
KnownFile = tuple[str, int, int, int, int, int, str, str, int]
UNTRUSTED = -1


class WholePush(msgspec.Struct, frozen=True):
    """The outcome of a push: valid as long as the fingerprint of the scan is the same."""

    fingerprint: str
    tree: TreeRef
    tree_file: str  # BLAKE3 of the tree's file, in which the objects below are named
    objects: list[str]


class StatCache:
    def __init__(self, folder: Path, store_url: str, workspace: str = "", *, racy_ns: int = RACY_NS) -> None:
        """One workspace's part of the cache; another workspace at the same URL has another `workspace`."""
        self._racy_ns = racy_ns
        self._folder = folder / "stat" / _short(f"{store_url}\0{workspace}")

    def of(self, scan: Scan) -> SourceMemory:
        names = "" if scan.whole_folder else "\0".join(file[0] for file in scan.files)
        stem = self._folder / _short(f"{os.path.realpath(scan.root)}\0{names}")
        return SourceMemory(stem, settled_ns=scan.began_ns - self._racy_ns)


class SourceMemory:
    """The cache of one source directory. Stamps younger than `settled_ns` prove nothing."""

    def __init__(self, stem: Path, *, settled_ns: int) -> None:
        self.settled_ns = settled_ns
        self._files = stem.with_suffix(".files")
        self._tree = stem.with_suffix(".tree")
        self._broken = False

    def whole(self, fingerprint: str) -> WholePush | None:
        """The outcome of the last push, if nothing changed since."""
        for frame in _frames(self._tree):
            with contextlib.suppress(msgspec.MsgspecError):
                found = msgspec.msgpack.decode(frame, type=WholePush)
                if found.fingerprint == fingerprint:
                    return found
        return None

    def files(self) -> list[KnownFile]:
        """Everything known, oldest first."""
        known: list[KnownFile] = []
        for frame in _frames(self._files):
            try:
                known += msgspec.msgpack.decode(frame, type=list[KnownFile])
            except msgspec.MsgspecError:
                break
        return known

    def learn(self, files: Sequence[KnownFile]) -> None:
        """Add files whose bytes are in the store by now."""
        if files:
            self._write(self._files, _frame(msgspec.msgpack.encode(files)), append=True)

    def conclude(self, files: Sequence[KnownFile] | None, whole: WholePush | None) -> None:
        """A push ended: keep `files` alone, if given, and the outcome if it may be trusted."""
        if files is not None:
            self._write(self._files, MAGIC + _frame(msgspec.msgpack.encode(files)), append=False)
        if whole is None:
            with contextlib.suppress(OSError):
                self._tree.unlink(missing_ok=True)
        else:
            self._write(self._tree, MAGIC + _frame(msgspec.msgpack.encode(whole)), append=False)
        _forget_oldest(self._files.parent)

    def _write(self, path: Path, data: bytes, *, append: bool) -> None:
        if self._broken:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if append:
                _append(path, data)
            else:
                _replace(path, data)
        except OSError:
            # A full or read-only cache costs time on the next push, nothing else.
            self._broken = True


def _append(path: Path, data: bytes) -> None:
    """One write, so that the frames of two processes never mix."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, data if os.fstat(file).st_size else MAGIC + data)
    finally:
        os.close(file)


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _frame(payload: bytes) -> bytes:
    return len(payload).to_bytes(8, "little") + blake3(payload).digest() + payload


def _frames(path: Path) -> Iterator[bytes]:
    try:
        data = path.read_bytes()
    except OSError:
        return
    if not data.startswith(MAGIC):
        return
    at = len(MAGIC)
    while at + 40 <= len(data):
        end = at + 40 + int.from_bytes(data[at : at + 8], "little")
        payload = data[at + 40 : end]
        if end > len(data) or blake3(payload).digest() != data[at + 8 : at + 40]:
            return
        yield payload
        at = end


def _forget_oldest(folder: Path) -> None:
    with contextlib.suppress(OSError):
        with os.scandir(folder) as found:
            entries = [entry for entry in found if entry.name.endswith(".files")]
        if len(entries) <= MAX_SOURCES:
            return
        by_age = sorted((entry.stat().st_mtime, entry.path) for entry in entries)
        for _, path in by_age[: len(entries) - MAX_SOURCES]:
            Path(path).unlink(missing_ok=True)
            Path(path).with_suffix(".tree").unlink(missing_ok=True)


def _short(text: str) -> str:
    return blake3(os.fsencode(text)).hexdigest()[:32]
