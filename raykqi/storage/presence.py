"""Which of the objects that somebody relies on are in the store, and which are not."""

from __future__ import annotations

from collections.abc import Collection

from raykqi.errors import ObjectMissing
from raykqi.storage.filesystem import Store
from raykqi.storage.parallel import Stop, in_order

__all__ = ["is_whole", "missing_objects"]

# Up to here one question per object is cheaper than listing thousands that nobody asked for.
ASK_EACH = 256
THREADS = 16


def missing_objects(store: Store, keys: Collection[str]) -> set[str]:
    if store.local_path("blobs") is not None:
        return {key for key in keys if not store.exists(key)}
    if len(keys) > ASK_EACH:
        there = {
            found.key for folder in sorted({key.partition("/")[0] for key in keys}) for found in store.list(folder)
        }
        return set(keys) - there
    asked = sorted(keys)
    answers = in_order(store.exists, asked, threads=min(THREADS, max(len(asked), 1)), stop=Stop())
    return {key for key, there in zip(asked, answers, strict=True) if not there}


def is_whole(store: Store, key: str, size: int) -> bool:
    """Whether an object named by its hash is there; one of another size is damaged and to be written again."""
    try:
        return store.info(key).size == size
    except ObjectMissing:
        return False
