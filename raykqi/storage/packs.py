"""Keys of blobs and packs, and how many small files become one pack.

A file of at least `BLOB_MIN` bytes is a blob of its own; smaller ones lie back to back in packs of
about `PACK_SIZE`, in the order of their paths. Both are named by the BLAKE3 of their bytes.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import cast

from blake3 import blake3

__all__ = [
    "BLOB_MIN",
    "PACK_SIZE",
    "Pack",
    "PackMemory",
    "Place",
    "blob_key",
    "hash_of_key",
    "is_external",
    "is_object_key",
    "pack_key",
    "set_aside_key",
]

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


def set_aside_key(key: str) -> str:
    """Where an object is kept whose bytes are not what its name says."""
    return f"damaged/{key}"


def is_external(key: str) -> bool:
    """Whether the bytes were imported by reference and lie outside of the store."""
    return "://" in key


def hash_of_key(key: str) -> str:
    return key.rpartition("/")[2]


class Place:
    """An object that bytes lie in; its key is known once it is stored."""

    __slots__ = ("key",)

    def __init__(self, key: str = "") -> None:
        self.key = key


class Pack:
    """Small files being put back to back."""

    __slots__ = ("memory", "place", "size")

    def __init__(self, memory: mmap.mmap) -> None:
        self.memory = memory
        self.place = Place()
        self.size = 0

    def has_room_for(self, size: int) -> bool:
        return self.size + size <= PACK_SIZE

    def add(self, data: bytes) -> int:
        """The offset at which the file begins."""
        offset = self.size
        self.size += len(data)
        self.memory[offset : self.size] = data
        return offset

    @contextmanager
    def sealed(self) -> Iterator[bytes]:
        """The bytes, without a copy: what is given here is a view, as good as bytes to every store."""
        with memoryview(self.memory) as whole, whole[: self.size] as view:
            self.place.key = pack_key(blake3(view).hexdigest())
            yield cast("bytes", view)


class PackMemory:
    """Memory for packs, used again and again: taking fresh memory costs more time than filling it."""

    def __init__(self) -> None:
        self._free: SimpleQueue[mmap.mmap] = SimpleQueue()

    def new_pack(self) -> Pack:
        try:
            return Pack(self._free.get_nowait())
        except Empty:
            return Pack(mmap.mmap(-1, PACK_SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))

    def give_back(self, pack: Pack) -> None:
        """The pack is not used any more."""
        self._free.put(pack.memory)
