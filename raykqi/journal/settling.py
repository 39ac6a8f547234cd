"""Getting one entry into the journal, and knowing afterwards whether it is there.

An answer that got lost is settled by reading the object back. As long as an unanswered write may
still arrive, the only honest answers are 'it stands', 'another writer's entry stands' and 'unknown'.
"""

from __future__ import annotations

import secrets

from blake3 import blake3

from raykqi.errors import Fenced, ObjectExists, ObjectMissing, StorageError, StorageUnavailable
from raykqi.journal.codec import Torn, damaged, decode, entry_key
from raykqi.journal.layout import TORN
from raykqi.storage.filesystem import Store

__all__ = ["OutcomeUnknown", "fenced", "is_near", "place"]

ATTEMPTS = 4


class OutcomeUnknown(StorageUnavailable):
    """The entry may be in the journal or not: never answer 'failed', open the workspace again and look."""

    outcome_unknown = True

    def __init__(self, key: str, cause: Exception) -> None:
        super().__init__(
            f"it is unknown whether {key} was written: {cause}",
            hint="Open the workspace again when its storage answers, and look whether the change is there.",
        )


def place(store: Store, seq: int, data: bytes) -> None:
    """Returns when `data` is entry `seq`, raises `Fenced` when another entry is, `OutcomeUnknown` when in doubt."""
    key = entry_key(seq)
    unanswered: StorageError | None = None
    for _ in range(ATTEMPTS):
        failure: StorageError | None = None
        try:
            return store.create(key, data)
        except ObjectExists:
            pass
        except StorageError as e:
            failure = e
        there = _read_back(store, key, failure or unanswered)
        if there == data:
            if not failure or not is_near(store):
                return None
        elif there is not None:
            _clear_torn_or_refuse(store, seq, there)
        if failure and unanswered:
            raise OutcomeUnknown(key, failure) from failure
        if failure and there is None and not isinstance(failure, StorageUnavailable):
            raise failure
        # A write may still be on its way, or be visible but not yet on the disk: writing the same again tells.
        unanswered = failure or unanswered
    if unanswered:
        raise OutcomeUnknown(key, unanswered) from unanswered
    raise fenced(store, seq, "it appeared and vanished several times while this controller wrote it")


def is_near(store: Store) -> bool:
    """Whether a request costs microseconds: a local folder, or memory."""
    return store.local_path("journal") is not None or store.url.startswith("memory:")


def fenced(store: Store, seq: int, what: str) -> Fenced:
    return Fenced(
        f"entry {seq} of {store.url} is not this controller's: {what}; nothing of this batch was stored",
        hint="Open the workspace again and repeat the command; another controller writes to it.",
    )


def _read_back(store: Store, key: str, failure: StorageError | None) -> bytes | None:
    try:
        return store.get(key)
    except ObjectMissing:
        return None
    except StorageError as e:
        raise OutcomeUnknown(key, failure or e) from e


def _clear_torn_or_refuse(store: Store, seq: int, there: bytes) -> None:
    key = entry_key(seq)
    try:
        theirs = decode(there, key)
    except Torn:
        _clear_torn(store, seq, there)
        return
    raise fenced(store, seq, f"{theirs.writer} wrote it (epoch {theirs.epoch}, {theirs.time.isoformat()})")


def _clear_torn(store: Store, seq: int, torn: bytes) -> None:
    key = entry_key(seq)
    if store.exists(entry_key(seq + 1)):
        raise damaged(key, f"it ends early, though entry {seq + 1} is there", seq)
    copy = f"{TORN}/{seq:020d}-{blake3(torn).hexdigest()[:12]}"
    if not is_near(store):  # nearby, the writer's lock keeps others away
        try:
            store.create(f"{copy}.claim", secrets.token_bytes(16))  # only whoever made it may delete the entry
        except ObjectExists:
            what = f"another controller is clearing away an unfinished entry (if this stays so, delete {key} by hand)"
            raise fenced(store, seq, what) from None
    store.put(copy, torn)
    store.delete([key])
