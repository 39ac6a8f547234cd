"""The folder of one attempt on a node: where everything of it lies, and how all of it goes away again."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Folders", "folder_name", "make_readable", "remove_folder"]

_PLAIN = re.compile(r"[^/\x00]{1,80}\Z")


@dataclass(frozen=True)
class Folders:
    root: Path

    @property
    def inputs(self) -> Path:
        return self.root / "inputs"

    @property
    def outputs(self) -> Path:
        return self.root / "outputs"

    @property
    def code(self) -> Path:
        return self.root / "own" / "code"

    @property
    def home(self) -> Path:
        return self.root / "own" / "home"

    @property
    def temporary(self) -> Path:
        return self.root / "own" / "tmp"

    @property
    def progress(self) -> Path:
        """A folder with the one file to which user code writes how far it is."""
        return self.root / "own" / "progress"

    @property
    def log(self) -> Path:
        return self.root / "log" / "log"

    @property
    def stat(self) -> Path:
        return self.root / "stat"

    def make(self) -> None:
        """Outputs start empty, so whatever an earlier try left here goes first."""
        remove_folder(self.root)
        for folder in (self.inputs, self.outputs, self.code, self.home, self.temporary, self.progress, self.log.parent):
            folder.mkdir(parents=True, exist_ok=True)


def folder_name(name: str, position: int) -> str:
    """The name of an input or output as a folder; by its position when no folder can be called so."""
    is_plain = _PLAIN.match(name) and name not in (".", "..") and len(os.fsencode(name)) < 250
    return name if is_plain else f"{position}"


def remove_folder(folder: Path) -> bool:
    """Delete it with everything in it, also what a command made read-only; True when nothing is left.

    Goes down by descriptors: no path is too long, and no link is followed out of the folder.
    """
    try:
        parent = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return not os.path.lexists(folder)
    try:
        return _remove(parent, folder.name)
    finally:
        os.close(parent)


def _remove(parent: int, name: str) -> bool:
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return True
    except OSError:
        pass  # a folder, or a parent that first has to be made writable
    else:
        return True
    try:
        found = os.lstat(name, dir_fd=parent)
        if not stat.S_ISDIR(found.st_mode):
            os.fchmod(parent, 0o700)
            os.unlink(name, dir_fd=parent)
            return True
        return _remove_folder(parent, name)
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _remove_folder(parent: int, name: str) -> bool:
    """Depth by depth with a stack of names, since a command may nest deeper than Python calls."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
    stack: list[tuple[str, int, list[str]]] = [_opened(parent, name, flags)]
    whole = True
    while stack:
        own, file, below = stack[-1]
        if below:
            try:
                stack.append(_opened(file, below.pop(), flags))
            except OSError:
                whole = False
            continue
        stack.pop()
        os.close(file)
        above = stack[-1][1] if stack else parent
        try:
            os.rmdir(own, dir_fd=above)
        except OSError:
            with contextlib.suppress(OSError):
                os.fchmod(above, 0o700)
            try:
                os.rmdir(own, dir_fd=above)
            except FileNotFoundError:
                pass
            except OSError:
                whole = False
    return whole


def _opened(parent: int, name: str, flags: int) -> tuple[str, int, list[str]]:
    """The folder with its files gone already; returns the folders below it."""
    try:
        file = os.open(name, flags, dir_fd=parent)
    except PermissionError:
        os.chmod(name, 0o700, dir_fd=parent)
        file = os.open(name, flags, dir_fd=parent)
    with contextlib.suppress(OSError):
        os.fchmod(file, 0o700)
    below = []
    with os.scandir(file) as entries:
        names = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for entry, is_folder in names:
        if is_folder:
            below.append(entry)
        else:
            with contextlib.suppress(OSError):
                os.unlink(entry, dir_fd=file)
    return name, file, below


def make_readable(folder: Path) -> None:
    """Let this user read all of it, as far as it may say so."""
    for path, folders, files in os.walk(folder):
        for name in folders:
            with contextlib.suppress(OSError):
                if not os.path.islink(f"{path}/{name}"):
                    os.chmod(f"{path}/{name}", os.stat(f"{path}/{name}").st_mode | 0o700)
        for name in files:
            with contextlib.suppress(OSError):
                if not os.path.islink(f"{path}/{name}"):
                    os.chmod(f"{path}/{name}", os.stat(f"{path}/{name}").st_mode | 0o400)
