"""A tree that takes shape in a private folder from what a stranger sends, and is refused at the first wrong thing.

Links are made last, when all else is there: until then nothing in the folder can lead a write out of it.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

from raykqi.domain.tree import Kind
from raykqi.errors import InvalidInput, RaykqiError, StorageError, StorageFull, TooLarge, UnsafePath
from raykqi.storage.links import EndlessLink, OutsideLink, follow_links
from raykqi.storage.trees import IMPLIED_DIR_MODE, MODE_BITS
from serve_api.bytes.limits import UploadLimits

__all__ = ["StagedTree", "clean_path"]

PATH_BYTES: Final = 4000
NAME_BYTES: Final = 255
TARGET_BYTES: Final = 4000
DEPTH: Final = 256
CHECK_SPACE: Final = 16 << 20  # bytes between two looks at the free space
# Whatever a sender wishes, what was sent must stay readable for the push that follows.
FILE_LEAST, FOLDER_LEAST = 0o400, 0o500


class StagedTree:
    """Use from one thread at a time. `finish` sets modes and makes links; `close` gives back descriptors."""

    def __init__(self, folder: Path, limits: UploadLimits) -> None:
        self.folder = folder
        self.size = 0
        self._limits = limits
        self._kinds: dict[str, Kind] = {}
        self._modes: dict[str, int] = {}
        self._links: dict[str, str] = {}
        self._root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._file = -1
        self._unchecked = CHECK_SPACE

    def __len__(self) -> int:
        return len(self._kinds)

    def add_folder(self, path: str, mode: int) -> None:
        path = clean_path(path)
        if not path:
            return
        if path in self._modes or self._kinds.get(path, "dir") != "dir":
            raise _twice(path)
        self._make_folder(path)
        self._modes[path] = mode & MODE_BITS | FOLDER_LEAST

    def add_link(self, path: str, target: str) -> None:
        path = self._new(path, "link")
        _check_text(target, f"the target of the link {path!r}")
        if not target or len(target.encode()) > TARGET_BYTES:
            raise InvalidInput(
                f"the target of the link {path!r} is empty or too long", hint=f"At most {TARGET_BYTES} bytes."
            )
        self._links[path] = target

    def add_copy(self, path: str, of: str) -> None:
        """One more name of a file that was sent before."""
        source = clean_path(of)
        if self._kinds.get(source) != "file":
            raise InvalidInput(
                f"{path!r} is a hard link to {of!r}, which is no file before it in the archive",
                hint="Pack again with --hard-dereference.",
            )
        self.require(os.stat(source, dir_fd=self._root).st_size)
        path = self._new(path, "file")
        try:
            os.link(source, path, src_dir_fd=self._root, dst_dir_fd=self._root, follow_symlinks=False)
        except OSError as error:
            raise _disk_error(path, error) from error
        self.size += os.stat(source, dir_fd=self._root).st_size

    def begin_file(self, path: str, mode: int, size: int = 0) -> None:
        """What is written next are the bytes of this file; `size` as far as it is told beforehand."""
        self.require(size)
        path = self._new(path, "file")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._file = os.open(path, flags, 0o600, dir_fd=self._root)
            os.fchmod(self._file, mode & MODE_BITS | FILE_LEAST)
        except OSError as error:
            raise _disk_error(path, error) from error

    def write(self, data: bytes | memoryview) -> None:
        self.require(len(data))
        self._unchecked += len(data)
        if self._unchecked >= CHECK_SPACE:
            self._unchecked = 0
            self.require_space(0)
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._file, view) :]
        except OSError as error:
            raise _disk_error("the upload", error) from error
        self.size += len(data)

    def end_file(self) -> None:
        os.close(self._file)
        self._file = -1

    def require(self, size: int) -> None:
        """So many bytes more may come."""
        if self.size + size > self._limits.bytes:
            raise TooLarge(
                f"the upload holds more than the {self._limits.bytes} bytes that this server takes at once",
                hint="Send it in several data, or put it into the bucket and import it.",
            )
        if size > CHECK_SPACE:
            self.require_space(size)

    def require_space(self, size: int) -> None:
        found = os.statvfs(self.folder)
        if found.f_bavail * found.f_frsize < size + self._limits.reserve:
            raise StorageFull(
                "the server has not enough space to take this upload",
                hint="Try again later, or upload in pieces with presigned URLs.",
            )

    def finish(self) -> None:
        """Refuses links that lead out; sets the modes of folders."""
        for path, target in self._links.items():
            try:
                follow_links(path, self._links.get)
            except OutsideLink as outside:
                raise UnsafePath(
                    f"the link {path!r} leads to {target!r}, outside of what was sent",
                    hint="Leave it out, or send what it leads to in its place.",
                ) from outside
            except EndlessLink:
                continue  # it leads nowhere, so not out either
        for path, target in self._links.items():
            os.symlink(target, path, dir_fd=self._root)
        for path in sorted((path for path, kind in self._kinds.items() if kind == "dir"), reverse=True):
            os.chmod(path, self._modes.get(path, IMPLIED_DIR_MODE), dir_fd=self._root)

    def close(self) -> None:
        if self._file >= 0:
            self.end_file()
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def _new(self, path: str, kind: Kind) -> str:
        cleaned = clean_path(path)
        if not cleaned:
            raise UnsafePath(f"{path!r} names no file", hint="Give every file a relative path.")
        if cleaned in self._kinds:
            raise _twice(cleaned)
        self._make_folder(cleaned.rpartition("/")[0])
        self._count(cleaned, kind)
        return cleaned

    def _make_folder(self, path: str) -> None:
        """The folder and those above it."""
        if not path or self._kinds.get(path) == "dir":
            return
        if path in self._kinds:
            raise UnsafePath(f"something lies below {path!r}, which is no folder", hint="Send each path once.")
        self._make_folder(path.rpartition("/")[0])
        self._count(path, "dir")
        try:
            os.mkdir(path, 0o700, dir_fd=self._root)
        except OSError as error:
            raise _disk_error(path, error) from error

    def _count(self, path: str, kind: Kind) -> None:
        if len(self._kinds) >= self._limits.entries:
            raise TooLarge(
                f"the upload has more than {self._limits.entries} files and folders",
                hint="Send it in several data, or put small files into one.",
            )
        self._kinds[path] = kind


def clean_path(path: str) -> str:
    """The path without `.` parts and doubled slashes; empty for the tree itself."""
    _check_text(path, "the path")
    if path.startswith("/"):
        raise UnsafePath(f"the path {_short(path)} is absolute", hint="Give paths relative to the folder.")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise UnsafePath(f"the path {_short(path)} leads out of its folder", hint="Give paths without '..'.")
    if len(parts) > DEPTH or any(len(part.encode()) > NAME_BYTES for part in parts) or len(path.encode()) > PATH_BYTES:
        raise InvalidInput(
            f"the path {_short(path)} is too long",
            hint=f"At most {NAME_BYTES} bytes a name, {DEPTH} folders and {PATH_BYTES} bytes in all.",
        )
    return "/".join(parts)


def _check_text(text: str, what: str) -> None:
    if "\0" in text:
        raise UnsafePath(f"{what} {_short(text)} holds NUL", hint="Rename it.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(
            f"{what} {_short(text)} is not valid UTF-8", hint="Rename it, for example with convmv."
        ) from None


def _twice(path: str) -> InvalidInput:
    return InvalidInput(f"{_short(path)} comes twice", hint="Send each path once.")


def _short(text: str) -> str:
    return ascii(text if len(text) <= 120 else text[:117] + "...") if not text.isprintable() else repr(text[:120])


def _disk_error(path: str, error: OSError) -> RaykqiError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EMLINK):
        return StorageFull(
            "the server has not enough space to take this upload",
            hint="Try again later, or upload in pieces with presigned URLs.",
        )
    if error.errno in (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ):
        return InvalidInput(f"the path {_short(path)} cannot be stored: {error.strerror}", hint="Rename it.")
    return StorageError(f"the upload cannot be written: {error.strerror}", hint="Look at the disk of the server.")
