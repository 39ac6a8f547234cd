"""Storing what many short calls left, together: one pack for all their small files, then a tree for each.

A durable write costs about the same for a few bytes as for many, so a thousand outputs of one file each
are a few packs and a thousand trees, written by several threads.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from blake3 import blake3

from raykqi.domain.data import TreeRef
from raykqi.errors import StorageUnavailable
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store
from raykqi.storage.outcome import Outcome
from raykqi.storage.packing import Packer, Places
from raykqi.storage.packs import BLOB_MIN, Place
from raykqi.storage.parallel import Stop, in_order
from raykqi.storage.retry import Attempts
from raykqi.storage.trees import EMPTY_HASH, MODE_BITS, Entry, Tree, store_tree, tree_key

__all__ = ["SmallFolder", "StoredFolder", "read_small", "store_small"]

MOST_FILES = 64
MOST_BYTES = BLOB_MIN
WRITERS = 4


@dataclass
class SmallFolder:
    """A folder whose content is in memory."""

    entries: list[tuple[str, str, int]] = field(default_factory=list)  # path, kind, mode
    contents: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class StoredFolder:
    tree: TreeRef
    reused: frozenset[str]


def read_small(folder: Path) -> SmallFolder | None:
    """The folder, if it is small and holds nothing but plain files and folders with names in UTF-8."""
    if folder.is_symlink():
        return None
    small, size = SmallFolder(), 0
    waiting = [""]
    while waiting:
        below = waiting.pop()
        with os.scandir(folder / below if below else folder) as entries:
            for entry in entries:
                path = f"{below}/{entry.name}" if below else entry.name
                found = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    waiting.append(path)
                    small.entries.append((path, "dir", found.st_mode & MODE_BITS))
                elif stat.S_ISREG(found.st_mode):
                    size += found.st_size
                    if size >= MOST_BYTES or len(small.contents) >= MOST_FILES:
                        return None
                    small.entries.append((path, "file", found.st_mode & MODE_BITS))
                    with open(entry.path, "rb") as file:
                        small.contents[path] = file.read(MOST_BYTES)
                else:
                    return None
    try:
        "".join(path for path, _, _ in small.entries).encode()
    except UnicodeEncodeError:
        return None
    return small


def store_small(store: Store, folders: Sequence[SmallFolder], settings: Settings) -> list[StoredFolder]:
    attempts = Attempts(settings.storage_timeout)
    while True:
        try:
            return _store(store, folders)
        except StorageUnavailable as error:
            attempts.wait_after(error)


def _store(store: Store, folders: Sequence[SmallFolder]) -> list[StoredFolder]:
    outcome = Outcome()
    places: Places = {EMPTY_HASH: (Place(), 0)}
    hashes = [{path: blake3(data).hexdigest() for path, data in folder.contents.items()} for folder in folders]
    packer = Packer(store, places, outcome, threads=0, stop=Stop())
    for _ in packer.pack(_numbered(folders, hashes)):
        pass
    trees = [_tree(folder, of, places) for folder, of in zip(folders, hashes, strict=True)]
    different = {tree.ref.hash: tree for tree in trees}
    threads = WRITERS if len(different) > 1 else 0
    stored = dict(
        zip(
            different,
            in_order(lambda tree: store_tree(store, tree), different.values(), threads=threads, stop=Stop()),
            strict=True,
        )
    )
    written = set(outcome.written)
    result = []
    for tree in trees:
        there = stored[tree.ref.hash]
        found_tree = set() if there.written else {tree_key(tree.ref.hash)}
        result.append(StoredFolder(tree.ref, frozenset(there.tree.objects() - written | found_tree)))
    return result


def _numbered(folders: Sequence[SmallFolder], hashes: Sequence[dict[str, str]]) -> Iterable[tuple[int, str, bytes]]:
    number = 0
    for folder, of in zip(folders, hashes, strict=True):
        for path, data in folder.contents.items():
            if data:
                yield number, of[path], data
                number += 1


def _tree(folder: SmallFolder, hashes: dict[str, str], places: Places) -> Tree:
    entries = []
    for path, kind, mode in folder.entries:
        if kind == "dir":
            entries.append(Entry(path, "dir", mode, 0, ""))
        else:
            place, offset = places[hashes[path]]
            entries.append(Entry(path, "file", mode, len(folder.contents[path]), hashes[path], place.key, offset))
    return Tree.of(entries)
