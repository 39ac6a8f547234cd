"""The key with which tokens of runs are signed: 256 random bits that whoever comes first puts into storage."""

from __future__ import annotations

import re
import secrets

from raykqi.errors import Damaged, ObjectExists, ObjectMissing
from raykqi.storage.filesystem import Store

__all__ = ["KEY", "read_access_key"]

KEY = "access/key"
BYTES = 32
_TEXT = re.compile(rb"[0-9a-f]{64}\n?\Z")


def read_access_key(store: Store) -> bytes:
    """The key, made when there is none yet."""
    try:
        text = store.get(KEY)
    except ObjectMissing:
        text = secrets.token_hex(BYTES).encode() + b"\n"
        try:
            store.create(KEY, text)
        except ObjectExists:
            text = store.get(KEY)
    if not _TEXT.match(text):
        raise Damaged(f"{KEY} is damaged: it is no key", hint="Delete it: a new one is made; runs get new tokens.")
    return bytes.fromhex(text.decode().strip())
