"""Storing what a command left: each output as a tree, and the log.

A failed command's outputs are stored as well. What data cannot hold (sockets, pipes, devices) is left
out and named in the log; links inside of an output that were made by its absolute path become relative.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from raykqi.domain.order import Stored
from raykqi.errors import InvalidInput, RaykqiError, StorageDenied, StorageFull, StorageUnavailable
from raykqi.execution.folders import make_readable
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store
from raykqi.storage.outcome import Pushed
from raykqi.storage.push import push_bytes, push_tree
from raykqi.storage.retry import Attempts
from raykqi.storage.stat_cache import StatCache

__all__ = ["Output", "StoredOutputs", "store_outputs"]

MOST_NAMED = 20


@dataclass(frozen=True)
class Output:
    """`seen` is the path by which the command knew the folder."""

    name: str
    data: str
    folder: Path
    seen: str


@dataclass
class StoredOutputs:
    stored: list[Stored] = field(default_factory=list)
    reused: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    is_unreachable: bool = False  # the storage did not answer for as long as patience lasts


def store_outputs(
    store: Store, outputs: Sequence[Output], *, settings: Settings, memory: Path, say: Callable[[str], None]
) -> StoredOutputs:
    """As many of them as can be stored; the problems say what became of the others."""
    result = StoredOutputs()
    known = StatCache(memory, store.url)
    for output in outputs:
        try:
            if result.is_unreachable:
                raise StorageUnavailable("the storage does not answer")
            _tidy(output, say)
            pushed = _patiently(store, output, settings, known)
        except RaykqiError as error:
            result.is_unreachable |= isinstance(error, StorageUnavailable)
            result.problems.append(_said(output, error))
        except OSError as error:
            result.problems.append(f"output {output.name!r} could not be stored: {error}")
        else:
            result.stored.append(Stored(output.data, pushed.tree))
            result.reused |= pushed.reused
    return result


def _patiently(store: Store, output: Output, settings: Settings, known: StatCache) -> Pushed:
    """Stores of servers are patient themselves; the others are tried again here."""
    attempts, began = Attempts(settings.storage_timeout), time.monotonic()
    while True:
        try:
            return _push(store, output, settings, known)
        except StorageUnavailable as error:
            if time.monotonic() - began >= settings.storage_timeout:
                raise
            attempts.wait_after(error)


def _push(store: Store, output: Output, settings: Settings, known: StatCache) -> Pushed:
    try:
        mode = os.lstat(output.folder).st_mode
    except FileNotFoundError:
        return push_bytes(store, {})
    if not stat.S_ISDIR(mode) and not (stat.S_ISREG(mode) and output.name == "(log)"):
        kind = "link" if stat.S_ISLNK(mode) else "file"
        raise InvalidInput(f"{output.seen} is a {kind} now", hint="Leave the folder there and write into it.")
    try:
        return push_tree(store, output.folder, settings=settings, stat_cache=known)
    except StorageDenied:
        make_readable(output.folder)
        return push_tree(store, output.folder, settings=settings, stat_cache=known)


def _tidy(output: Output, say: Callable[[str], None]) -> None:
    """Take out what no data can hold, so that the rest of the work is not lost for it."""
    named = 0
    for path, folders, files in os.walk(output.folder):
        for name in (*files, *folders):
            whole = os.path.join(path, name)
            with contextlib.suppress(OSError):
                mode = os.lstat(whole).st_mode
                if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
                    continue
                what = _link(output, whole) if stat.S_ISLNK(mode) else _special(whole, mode)
                named += bool(what)
                if what and named <= MOST_NAMED:
                    shown = f"{output.seen}/{os.path.relpath(whole, output.folder)}"
                    say(f"output {output.name!r}: {os.fsencode(shown).decode(errors='replace')} {what}")
    if named > MOST_NAMED:
        say(f"output {output.name!r}: and {named - MOST_NAMED} more like these")


def _special(path: str, mode: int) -> str:
    kinds = {stat.S_IFSOCK: "socket", stat.S_IFIFO: "FIFO"}
    os.unlink(path)
    return f"is a {kinds.get(stat.S_IFMT(mode), 'device')} and was left out"


def _link(output: Output, path: str) -> str:
    """Make a link relative that leads to the output itself; tell of one that leads out of it."""
    target = os.readlink(path)
    here = os.path.relpath(os.path.dirname(path), output.folder)
    if target == output.seen or target.startswith(output.seen + "/"):
        inside = os.path.relpath(target, output.seen)
        os.unlink(path)
        os.symlink(os.path.relpath(inside, here), path)
        return ""
    led_to = os.path.normpath(os.path.join(here, target))
    if target.startswith("/") or led_to == ".." or led_to.startswith("../"):
        return f"is a link to {target}, outside of the output: whoever uses the data will not find it"
    return ""


def _said(output: Output, error: RaykqiError) -> str:
    what = "the log" if output.name == "(log)" else f"output {output.name!r}"
    if isinstance(error, StorageFull):
        return f"{what} could not be stored, the disk is full: {error.message}"
    return f"{what} could not be stored: {error.message}. {error.hint}".rstrip(". ")
