"""Verify: is everything that a tree names in the store, and is it what was pushed?

The cheap way compares with a listing of the store; the deep way reads every byte once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing

import msgspec
from blake3 import blake3

from raykqi.errors import Damaged, ObjectMissing
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store
from raykqi.storage.open_file import open_file
from raykqi.storage.packs import BLOB_MIN, hash_of_key, is_external, set_aside_key
from raykqi.storage.parallel import Stop, in_order
from raykqi.storage.trees import Entry, read_tree, tree_key

__all__ = ["Fault", "verify_tree"]

READERS = 4


class Fault(msgspec.Struct, frozen=True):
    """`paths` are the files of the tree that are lost with the object; a whole tree names none."""

    object: str
    what: str
    paths: tuple[str, ...] = ()


def verify_tree(
    store: Store,
    tree_hash: str,
    *,
    deep: bool,
    known: Mapping[str, int] | None = None,
    seen: set[str] | None = None,
) -> list[Fault]:
    """What is wrong with a tree and its objects.

    `known` is a listing of the store, key to size. Objects in `seen` were read already and found
    sound; a deep check adds to it, so that objects shared by many trees are read once.
    """
    key = tree_key(tree_hash)
    try:
        tree = read_tree(store, tree_hash)
    except ObjectMissing:
        return [Fault(key, "the tree is missing")]
    except Damaged as error:
        return [Fault(key, f"the tree is unreadable: {error.message}")]
    if known is None:
        known = {info.key: info.size for folder in ("blobs", "packs") for info in store.list(folder)}
    sound = set() if seen is None else seen
    users: dict[str, list[Entry]] = defaultdict(list)
    for entry in tree:
        if entry.kind == "file" and entry.object and not is_external(entry.object):
            users[entry.object].append(entry)
    faults = []
    readable = []
    for object_, entries in users.items():
        if object_ not in known and store.exists(aside := set_aside_key(object_)):
            faults.append(Fault(object_, f"it was set aside as damaged: {aside}", _lost(store, aside, entries)))
        elif what := _wrong_size(object_, entries, known):
            faults.append(Fault(object_, what, tuple(entry.path for entry in entries)))
        elif object_ not in sound:
            readable.append(object_)
    if deep:
        faults += _read(store, readable, users, sound)
    return faults


def verify_foreign(store: Store, tree_hash: str, settings: Settings) -> list[Fault]:
    """Which imported files of a tree are no longer there, or no longer the same."""
    faults = []
    tree = read_tree(store, tree_hash)
    for entry in tree:
        if entry.kind == "file" and is_external(entry.object):
            try:
                for _ in open_file(store, tree, entry.path, settings=settings):
                    pass
            except (Damaged, ObjectMissing) as error:
                faults.append(Fault(entry.object, error.message, (entry.path,)))
    return faults


def _wrong_size(key: str, entries: list[Entry], known: Mapping[str, int]) -> str:
    size = known.get(key)
    if size is None:
        return "missing"
    needed = max(entry.offset + entry.size for entry in entries)
    whole = key.startswith("blobs/")
    if size < needed or (whole and size != needed):
        return f"it has {size} bytes where {needed} were stored"
    return ""


def _read(store: Store, keys: list[str], users: Mapping[str, list[Entry]], sound: set[str]) -> Iterator[Fault]:
    stop = Stop()

    def check(key: str) -> Fault | None:
        return _check_bytes(store, key, users[key], stop)

    with closing(in_order(check, keys, threads=READERS, stop=stop)) as found:
        for key, fault in zip(keys, found, strict=True):
            if fault:
                yield fault
            else:
                sound.add(key)


def _check_bytes(store: Store, key: str, entries: list[Entry], stop: Stop) -> Fault | None:
    hasher = blake3()
    try:
        for piece in store.read(key):
            stop.check()
            hasher.update(piece)
        if hasher.hexdigest() == hash_of_key(key):
            return None
        return Fault(key, "its bytes are not what was stored", _lost(store, key, entries))
    except ObjectMissing:
        return Fault(key, "missing", tuple(entry.path for entry in entries))


def _lost(store: Store, key: str, entries: list[Entry]) -> tuple[str, ...]:
    """Of the files in a damaged pack, those that are hit."""
    return tuple(
        entry.path
        for entry in entries
        if entry.size >= BLOB_MIN
        or blake3(store.get(key, entry.offset, entry.offset + entry.size)).hexdigest() != entry.hash
    )
