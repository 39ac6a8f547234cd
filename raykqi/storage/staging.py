"""A hidden folder in which a tree takes shape before it appears at its target, whole.

It lies beside the target, so that appearing is one rename; where the parent cannot be written to, or
the target is a mount point, it lies inside of the target and its children are moved out.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from raykqi.errors import InvalidInput, RaykqiError, StorageDenied, StorageError, StorageFull, TargetNotEmpty
from raykqi.storage.trees import Entry

__all__ = ["Staging", "target_error"]


class Staging:
    """Use as: make it, fill `folder`, then `appear`; `remove` in any case."""

    def __init__(self, target: Path, *, overwrite: bool) -> None:
        self.target = Path(os.path.realpath(target))
        self._merges = _must_merge(self.target, overwrite)
        self.folder = self._make()

    def appear(self, entries: Sequence[Entry]) -> None:
        """Make everything durable and visible. `entries` are what the folder holds."""
        try:
            _sync_file_system(self.folder)
            if not self._merges and self.folder.parent == self.target.parent:
                os.rename(self.folder, self.target)
                _sync(self.target.parent)
            else:
                self._merge(entries)
                _sync_file_system(self.target)
        except OSError as error:
            raise target_error(self.target, error) from error

    def remove(self) -> None:
        if os.path.lexists(self.folder):
            shutil.rmtree(self.folder, onerror=_make_writable)

    def _make(self) -> Path:
        name = f".raykqi-{os.getpid()}-{os.urandom(6).hex()}"
        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
            beside = self.target.parent / name
            if not os.path.ismount(self.target):
                try:
                    beside.mkdir(mode=0o700)
                except OSError as error:
                    if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS) or not self.target.is_dir():
                        raise
                else:
                    return beside
            inside = self.target / name
            inside.mkdir(mode=0o700)
        except OSError as error:
            raise target_error(self.target, error) from error
        self._merges = True
        return inside

    def _merge(self, entries: Sequence[Entry]) -> None:
        """Move entry by entry over what is there. Nothing is followed: a link at the place of a folder is replaced."""
        self.target.mkdir(exist_ok=True)
        for entry in entries:
            self._check_place(self.target / entry.path, entry)
        modes = []
        for entry in entries:
            place = self.target / entry.path
            if entry.kind == "dir":
                if place.is_symlink() or not place.is_dir():
                    place.unlink(missing_ok=True)
                    place.mkdir()
                os.chmod(place, 0o700)
                modes.append((place, entry.mode))
                os.chmod(self.folder / entry.path, 0o700)
            else:
                os.replace(self.folder / entry.path, place)
        for place, mode in reversed(modes):
            os.chmod(place, mode)

    def _check_place(self, place: Path, entry: Entry) -> None:
        if entry.kind != "dir" and place.is_dir() and not place.is_symlink():
            raise TargetNotEmpty(
                f"{place} is a folder where the data has a {entry.kind}", hint="Remove it, or pull elsewhere."
            )


def target_error(target: Path, error: OSError) -> RaykqiError:
    """What an error of the operating system says about the place that data is pulled to."""
    what = f"cannot write {error.filename or target}: {error.strerror}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(f"no space left for {target}", hint="Free some space, or pull elsewhere; nothing was left.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StorageDenied(what, hint="Pull to a folder that you may write to.")
    if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
        return TargetNotEmpty(f"something came to lie in {target}", hint="Give a new folder, or allow overwriting.")
    if error.errno in (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL):
        return InvalidInput(what, hint="The file system there does not take this name; pull elsewhere.")
    return StorageError(what, hint="Check the disk, or pull elsewhere.")


def _must_merge(target: Path, overwrite: bool) -> bool:
    try:
        with os.scandir(target) as entries:
            occupied = next(entries, None) is not None
    except FileNotFoundError:
        return False
    except NotADirectoryError:
        raise TargetNotEmpty(f"{target} is a file", hint="Give a folder to pull into.") from None
    except OSError as error:
        raise target_error(target, error) from error
    if occupied and not overwrite:
        raise TargetNotEmpty(f"{target} is not empty", hint="Give a new folder, or allow overwriting.")
    return occupied


def _make_writable(remove: Callable[[str], Any], path: str, _: object) -> None:
    """Folders that a tree made read-only must not stop their own removal."""
    parent = os.path.dirname(path)
    os.chmod(parent, stat.S_IRWXU)
    if not os.path.islink(path) and os.path.isdir(path):
        os.chmod(path, stat.S_IRWXU)
        shutil.rmtree(path)
    elif os.path.lexists(path):
        remove(path)


def _sync_file_system(folder: Path) -> None:
    """One flush for everything, where a flush per file would take minutes."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if not hasattr(libc, "syncfs"):
            os.sync()
        elif libc.syncfs(file) < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(file)


def _sync(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
