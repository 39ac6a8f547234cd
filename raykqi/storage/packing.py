"""Small files into packs: filled in the caller's thread, stored in others."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing
from typing import NamedTuple

from raykqi.storage.filesystem import Store
from raykqi.storage.outcome import Outcome
from raykqi.storage.packs import Pack, PackMemory, Place
from raykqi.storage.parallel import Stop, in_order

__all__ = ["Packer", "Places"]

WRITERS = 3  # one pack more is being filled meanwhile: this bounds the memory of a push

Places = dict[str, tuple[Place, int]]  # hash of a file → the object it lies in, and its offset


class _Filled(NamedTuple):
    pack: Pack
    members: list[int]


class Packer:
    """`places` knows what lies in the store already, and learns what is packed."""

    def __init__(self, store: Store, places: Places, outcome: Outcome, *, threads: int, stop: Stop) -> None:
        self._store = store
        self._places = places
        self._outcome = outcome
        self._threads = min(threads, WRITERS)
        self._stop = stop
        self._memory = PackMemory()

    def pack(self, files: Iterable[tuple[int, str, bytes]]) -> Generator[list[int], None, None]:
        """Store files given as number, hash and bytes; yields the numbers of those in each pack that is stored."""
        with (
            closing(self._fill(files)) as packs,
            closing(in_order(self._write, packs, threads=self._threads, stop=self._stop)) as done,
        ):
            yield from done

    def _fill(self, files: Iterable[tuple[int, str, bytes]]) -> Generator[_Filled, None, None]:
        """Full packs, in the order of the files; content that lies somewhere already is not packed again."""
        current: _Filled | None = None
        for number, digest, data in files:
            known = self._places.get(digest)
            if known is not None:
                if known[0].key:
                    self._outcome.reused.add(known[0].key)
                continue
            if current is not None and not current.pack.has_room_for(len(data)):
                yield current
                current = None
            if current is None:
                current = _Filled(self._memory.new_pack(), [])
            self._places[digest] = current.pack.place, current.pack.add(data)
            current.members.append(number)
        if current is not None:
            yield current

    def _write(self, filled: _Filled) -> list[int]:
        with filled.pack.sealed() as data:
            self._outcome.store(self._store, filled.pack.place.key, data)
        self._memory.give_back(filled.pack)
        return filled.members
