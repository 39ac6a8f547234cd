"""What a `raykqi up` leaves for this person's other programs, so that they find its API, for as long as it is there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from raykqi.errors import StorageDenied

__all__ = ["server_record"]


@contextmanager
def server_record(url: str, token: str, workspace: str) -> Iterator[None]:
    """Readable by its owner alone at any moment, for the token lies in it."""
    from raykqi.client.target import LocalServer
    from raykqi.settings import ServerSettings

    file = ServerSettings.from_env().records / f"{workspace}.json"
    data = msgspec.json.format(msgspec.json.encode(LocalServer(url, workspace, os.getpid(), token)), indent=2)
    try:
        _write(file, data + b"\n")
    except OSError as error:
        raise StorageDenied(
            f"cannot write {file}: {error.strerror}", hint="XDG_STATE_HOME names another folder for such records."
        ) from error
    try:
        yield
    finally:
        if file.is_file() and file.read_bytes() == data + b"\n":  # else another one serves it by now
            file.unlink(missing_ok=True)


def _write(file: Path, data: bytes) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".server-", dir=file.parent)  # with mode 0600
    try:
        with os.fdopen(handle, "wb") as opened:
            opened.write(data)
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
