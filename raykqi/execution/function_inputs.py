"""Inputs of function plans: a copy for each call, since nothing in a shared process can be mounted for it alone.

Small ones are written without waiting for the disk; a call that is cut off is begun again from the store.
"""

from __future__ import annotations

import os
from pathlib import Path

from blake3 import blake3

from raykqi.execution.inputs import take_away_writing, write_private
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store
from raykqi.storage.reading import ObjectReader
from raykqi.storage.trees import Tree, read_tree

__all__ = ["write_input"]

MOST_ENTRIES = 64
MOST_BYTES = 4 << 20


def write_input(store: Store, tree_hash: str, place: Path, settings: Settings) -> None:
    """Read-only, and every file compared with its hash."""
    tree = read_tree(store, tree_hash)
    if len(tree) <= MOST_ENTRIES and tree.ref.size <= MOST_BYTES and "link" not in tree.columns.kind:
        _write_small(store, tree, place, settings)
    else:
        write_private(store, tree_hash, place, settings, None)
        take_away_writing(place)


def _write_small(store: Store, tree: Tree, place: Path, settings: Settings) -> None:
    reader = ObjectReader(store, settings)
    try:
        place.mkdir()
        folders = [place]
        for entry in tree:
            path = place / entry.path
            if entry.kind == "dir":
                path.mkdir()
                folders.append(path)
                continue
            data = reader.get(entry.object, entry.offset, entry.offset + entry.size) if entry.size else b""
            if blake3(data).hexdigest() != entry.hash:
                raise reader.damaged(entry.object, entry.path)
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, entry.mode & 0o555 | 0o400)
            with open(file, "wb") as written:
                written.write(data)
        for folder in folders:
            folder.chmod(0o555)
    finally:
        reader.close()
