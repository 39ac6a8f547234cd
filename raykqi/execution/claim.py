"""Folders in which runs work on a node, each claimed by the process that looks after it.

A process that is killed cannot clean up. Its claim ends with it, and whoever makes the next folder
beside takes that for a sign that what is there is nobody's.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from pathlib import Path

from raykqi.execution.folders import remove_folder

__all__ = ["Claim"]

NAME = "claim"
GONE = "gone-"


class Claim:
    """On `folder`, which is made, until it is closed or this process ends. Abandoned ones beside it are removed."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder.parent)
        made = folder / f"{NAME}.new"
        self._file = os.open(made, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with contextlib.suppress(OSError):  # a file system without locks: nothing here is ever taken for abandoned
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            made.rename(folder / NAME)  # locked from the moment at which others can see it

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _sweep(folder: Path) -> None:
    """What is being removed has another name, so that a new attempt may have its old one meanwhile."""
    for claim in folder.glob(f"*/{NAME}"):
        with contextlib.suppress(OSError):
            file = os.open(claim, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(file), os.stat(claim)):
                    claim.parent.rename(folder / f"{GONE}{secrets.token_hex(8)}")
            finally:
                os.close(file)
    for left in folder.glob(f"{GONE}*"):
        remove_folder(left)
