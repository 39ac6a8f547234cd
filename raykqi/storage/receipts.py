"""Receipts: how an attempt ended, in the store, for a controller that was away when it did."""

from __future__ import annotations

import contextlib

import msgspec

from raykqi.domain.order import Attempt, Ended
from raykqi.errors import ObjectMissing
from raykqi.storage.filesystem import Store

__all__ = ["delete_receipt", "read_receipt", "receipt_key", "write_receipt"]


def receipt_key(attempt: Attempt) -> str:
    return f"receipts/{attempt.run}/{attempt.number}.json"


def write_receipt(store: Store, ended: Ended) -> None:
    store.put(receipt_key(ended.attempt), msgspec.json.encode(ended))


def read_receipt(store: Store, attempt: Attempt) -> Ended | None:
    """None when there is none, or none that can be read: the attempt may have been cut off while it wrote."""
    with contextlib.suppress(ObjectMissing, msgspec.MsgspecError):
        return msgspec.json.decode(store.get(receipt_key(attempt)), type=Ended)
    return None


def delete_receipt(store: Store, attempt: Attempt) -> None:
    store.delete([receipt_key(attempt)])
