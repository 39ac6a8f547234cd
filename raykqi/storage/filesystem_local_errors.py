"""What the operating system's errors mean to whoever uses a local store, and what to do about them."""

from __future__ import annotations

import errno
import os
from types import TracebackType

from raykqi.errors import ObjectMissing, StorageDenied, StorageError, StorageFull, StorageUnavailable

__all__ = ["named"]

_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR}
_FULL = {errno.ENOSPC, errno.EDQUOT}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_GONE = {errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENOTCONN}


class named:  # noqa: N801 - reads as a clause: `with named("write", path)`
    """Turns the operating system's errors into ours, with the path and what to do about it."""

    __slots__ = ("_action", "_path")

    def __init__(self, action: str, path: str) -> None:
        self._action = action
        self._path = path

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError) and not isinstance(error, FileExistsError):
            raise _explain(self._action, self._path, error) from error


def _explain(action: str, path: str, error: OSError) -> StorageError:
    what = f"cannot {action} {path}: {error.strerror or error}"
    if error.errno in _ABSENT and action != "write":
        return ObjectMissing(f"{path} is not there")
    if error.errno in _FULL:
        return StorageFull(what, hint="Free space or raise the quota there, then repeat: nothing was written.")
    if error.errno in _DENIED:
        return StorageDenied(
            what, hint=f"Give this user (uid {os.geteuid()}) the right to do so, or use another place."
        )
    if error.errno in _GONE:
        return StorageUnavailable(what, hint="Check the mount, then repeat.")
    return StorageError(what, hint="Check the disk and the path, then repeat.")
