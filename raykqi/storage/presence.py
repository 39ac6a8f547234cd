"""Which of the objects that somebody relies on are not in the store."""

from __future__ import annotations

from collections.abc import Collection

from raykqi.storage.filesystem import Store
from raykqi.storage.parallel import Stop, in_order

__all__ = ["missing_objects"]

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
