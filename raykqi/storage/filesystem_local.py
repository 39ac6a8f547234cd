"""Objects as files of a local folder, written with the operating system's own calls.

A write goes to a file in `tmp/` on the same file system, is synced, moved or linked into place, and
the folder is synced: when a call returns the object is durable, and no reader ever sees half of it.
fsspec's own local file system can create exclusively only by checking first, which loses races.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from raykqi.errors import ObjectExists, ObjectMissing, StorageDenied
from raykqi.storage.filesystem import TEMPORARY, ObjectInfo, Store, check_key, check_range, is_key
from raykqi.storage.filesystem_copy import copy_bytes, write_all
from raykqi.storage.filesystem_local_errors import named
from raykqi.storage.filesystem_temporary import sweep_folder, temporary_name

__all__ = ["LocalStore"]

T = TypeVar("T")

_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


class LocalStore(Store):
    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = str(root)
        self._base = os.path.join(root, "")
        self._temporary = self._base + TEMPORARY.rstrip("/")
        self._durable_folders: set[str] = set()

    def get(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        check_range(start, end)
        path = self._path(key)
        with named("read", path):
            file = _open(path)
            try:
                size = os.fstat(file).st_size
                return _read_exactly(file, start, min(size, size if end is None else end))
            finally:
                os.close(file)

    def put(self, key: str, data: bytes) -> None:
        self._write(key, lambda file: self._fill(file, key, data), self._replace)

    def create(self, key: str, data: bytes) -> None:
        try:
            self._write(key, lambda file: self._fill(file, key, data), self._link)
        except FileExistsError:
            self._settle(key, data)

    def put_file(self, key: str, path: Path) -> None:
        source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._write(key, lambda file: self._copy(source, file, key), self._replace)
        finally:
            os.close(source)

    def adopt(self, key: str, path: Path) -> bool:
        target = self._path(key)
        folder = os.path.dirname(target)
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            if os.fstat(file).st_nlink != 1:  # its other names would feel what changes here
                return False
            with named("write", target):
                self._within(folder, lambda: self._make_folder(folder))
                temporary, empty = self._within(self._temporary, self._open_temporary)
                mode = os.fstat(empty).st_mode & 0o777
                os.close(empty)
                os.unlink(temporary)
                try:
                    os.link(path, temporary, follow_symlinks=False)
                except OSError as error:
                    if error.errno not in {*_NO_LINKS, errno.EXDEV}:
                        raise
                    return False
                try:
                    os.fchmod(file, mode)
                    os.utime(file)  # young, as everything is that was just written
                    os.fsync(file)
                    self._within(folder, lambda: self._replace(temporary, target))
                    _sync(folder)
                except BaseException:
                    _remove(temporary)
                    raise
        finally:
            os.close(file)
        return True

    def put_stream(self, key: str, parts: Iterable[bytes]) -> int:
        def fill(file: int) -> int:
            size = 0
            for part in parts:
                self._fill(file, key, part)
                size += len(part)
            return size

        return self._write(key, fill, self._replace)

    def read(self, key: str, start: int = 0, end: int | None = None, chunk: int = 4 << 20) -> Iterator[bytes]:
        check_range(start, end)
        path = self._path(key)
        with named("read", path):
            file = _open(path)
        try:
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file, start, 0 if end is None else end - start, os.POSIX_FADV_SEQUENTIAL)
            while end is None or start < end:
                wanted = chunk if end is None else min(chunk, end - start)
                with named("read", path):
                    data = os.pread(file, wanted, start)
                if not data:
                    return
                start += len(data)
                yield data
        finally:
            os.close(file)

    def info(self, key: str) -> ObjectInfo:
        path = self._path(key)
        with named("look at", path):
            stat = os.stat(path)
            if not _is_file(stat):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        return ObjectInfo(key, stat.st_size, stat.st_mtime)

    def exists(self, key: str) -> bool:
        try:
            self.info(key)
        except ObjectMissing:
            return False
        return True

    def list(self, prefix: str, *, after: str = "") -> Iterator[ObjectInfo]:
        folder = f"{check_key(prefix.rstrip('/'))}/" if prefix else ""
        return iter(()) if folder.startswith(TEMPORARY) else self._walk(folder, after)

    def delete(self, keys: Iterable[str]) -> None:
        folders = set()
        for key in keys:
            path = self._path(key)
            try:
                with named("delete", path):
                    os.unlink(path)
            except ObjectMissing:
                continue
            folders.add(os.path.dirname(path))
        for folder in folders:
            with named("sync", folder):
                _sync(folder)

    def touch(self, key: str) -> bool:
        path = self._path(key)
        try:
            self.info(key)
            with named("touch", path):
                os.utime(path)
        except ObjectMissing:
            return False
        return True

    def local_path(self, key: str) -> Path | None:
        return Path(self._path(key))

    @property
    def creates_exclusively(self) -> bool:
        return True

    def sweep_leftovers(self) -> int:
        with named("sweep", self._temporary):
            return sweep_folder(Path(self._temporary))

    def close(self) -> None:
        # Whoever may only read here leaves the leftovers of others to those who may write.
        with contextlib.suppress(StorageDenied):
            self.sweep_leftovers()

    def _path(self, key: str) -> str:
        return self._base + check_key(key)

    def _write(self, key: str, fill: Callable[[int], T], publish: Callable[[str, str], None]) -> T:
        target = self._path(key)
        folder = os.path.dirname(target)
        with named("write", target):
            self._within(folder, lambda: self._make_folder(folder))
            temporary, file = self._within(self._temporary, self._open_temporary)
        try:
            try:
                result = fill(file)
                with named("write", target):
                    os.fsync(file)
            finally:
                os.close(file)
            with named("write", target):
                self._within(folder, lambda: publish(temporary, target))
                _sync(folder)
        except BaseException:
            _remove(temporary)
            raise
        return result

    def _open_temporary(self) -> tuple[str, int]:
        path = f"{self._temporary}/{temporary_name()}"
        return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)

    def _fill(self, file: int, key: str, data: bytes) -> None:
        with named("write", self._base + key):
            write_all(file, data)

    def _copy(self, source: int, file: int, key: str) -> None:
        with named("write", self._base + key):
            copy_bytes(source, file)

    def _replace(self, temporary: str, target: str) -> None:
        os.replace(temporary, target)

    def _link(self, temporary: str, target: str) -> None:
        """Linking refuses an existing name; where links do not exist, copy into an exclusive new file."""
        try:
            os.link(temporary, target)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _copy_exclusively(temporary, target)
        os.unlink(temporary)

    def _settle(self, key: str, data: bytes) -> None:
        """Something is there: this call succeeded after all if it is what the call wanted to write."""
        path = self._path(key)
        try:
            there = self.get(key)
        except ObjectMissing:
            there = None
        if there != data:
            raise ObjectExists(f"{path} already exists with other bytes")
        with named("sync", path):
            _sync(path)
            _sync(os.path.dirname(path))

    def _within(self, folder: str, act: Callable[[], T]) -> T:
        """`act` in a folder that somebody may have removed since it was made."""
        try:
            return act()
        except FileNotFoundError:
            self._durable_folders.clear()
            self._make_folder(folder)
            return act()

    def _make_folder(self, folder: str) -> None:
        """Make the folder and sync its name in its parent: once a store, whoever made it."""
        if folder in self._durable_folders:
            return
        below_root = len(folder) > len(self.url)
        if below_root or not os.path.isdir(folder):
            parent = os.path.dirname(folder)
            self._make_folder(parent)
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder)
            _sync(parent)
        self._durable_folders.add(folder)

    def _walk(self, folder: str, after: str) -> Iterator[ObjectInfo]:
        for name, entry in self._sorted_entries(folder):
            key = folder + name
            if entry.is_dir(follow_symlinks=False):
                if key != TEMPORARY and (key > after or after.startswith(key)):
                    yield from self._walk(key, after)
            elif key > after:
                try:
                    with named("look at", entry.path):
                        stat = entry.stat()
                except ObjectMissing:  # deleted while we list
                    continue
                if _is_file(stat) and is_key(key):
                    yield ObjectInfo(key, stat.st_size, stat.st_mtime)

    def _sorted_entries(self, folder: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """By key: a folder sorts with its `/`, so that `a-b` comes before `a/b`."""
        try:
            with named("list", self._base + folder), os.scandir(self._base + folder) as entries:
                found = [(f"{e.name}/" if e.is_dir(follow_symlinks=False) else e.name, e) for e in entries]
        except ObjectMissing:
            return iter(())
        return iter(sorted(found, key=lambda pair: pair[0]))


def _open(path: str) -> int:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would keep us waiting
    if _is_file(os.fstat(file)):
        return file
    os.close(file)
    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)


def _is_file(stat: os.stat_result) -> bool:
    return (stat.st_mode & 0o170000) == 0o100000


def _read_exactly(file: int, start: int, end: int) -> bytes:
    """One call for whatever fits into one; the kernel stops at 2 GiB and at signals."""
    data = os.pread(file, max(end - start, 0), start)
    if start + len(data) >= end:
        return data
    pieces = [data]
    start += len(data)
    while start < end and (piece := os.pread(file, end - start, start)):
        pieces.append(piece)
        start += len(piece)
    return b"".join(pieces)


def _sync(path: str) -> None:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _copy_exclusively(temporary: str, target: str) -> None:
    source = os.open(temporary, os.O_RDONLY | os.O_CLOEXEC)
    try:
        file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            copy_bytes(source, file)
            os.fsync(file)
        except BaseException:
            _remove(target)
            raise
        finally:
            os.close(file)
    finally:
        os.close(source)


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
