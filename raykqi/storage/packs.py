"""Keys of blobs and packs, and how many small files become one pack.

A file of at least `BLOB_MIN` bytes is a blob of its own; smaller ones lie back to back in packs of
about `PACK_SIZE`, in the order of their paths. Both are named by the BLAKE3 of their bytes.
"""

from __future__ import annotations

import re

from blake3 import blake3

__all__ = ["BLOB_MIN", "PACK_SIZE", "Pack", "blob_key", "hash_of_key", "is_external", "is_object_key", "pack_key"]

MIB = 1024 * 1024
BLOB_MIN = MIB
PACK_SIZE = 32 * MIB

OBJECT_KEY = re.compile(r"(?:blobs|packs)/([0-9a-f]{2})/\1[0-9a-f]{62}")


def blob_key(digest: str) -> str:
    return f"blobs/{digest[:2]}/{digest}"


def pack_key(digest: str) -> str:
    return f"packs/{digest[:2]}/{digest}"


def is_object_key(key: str) -> bool:
    return OBJECT_KEY.fullmatch(key) is not None


def is_external(key: str) -> bool:
    """Whether the bytes were imported by reference and lie outside of the store."""
    return "://" in key


def hash_of_key(key: str) -> str:
    return key.rpartition("/")[2]


class Pack:
    """Small files being put back to back; `key` is known once it is sealed."""

    __slots__ = ("_parts", "key", "size")

    def __init__(self, key: str = "") -> None:
        self.key = key
        self.size = 0
        self._parts: list[bytes] = []

    def add(self, data: bytes) -> int:
        """The offset at which the file begins."""
        offset = self.size
        self._parts.append(data)
        self.size += len(data)
        return offset

    def has_room_for(self, size: int) -> bool:
        return self.size + size <= PACK_SIZE

    def seal(self) -> bytes:
        """The bytes of the pack; the parts are let go."""
        data = b"".join(self._parts)
        self._parts.clear()
        self.key = pack_key(blake3(data).hexdigest())
        return data
