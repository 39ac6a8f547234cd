"""What a workspace means, in memory and without any storage: the measure for the real one.

It knows ids because the real one made them, and nothing else: no journal, no index, no trees.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["Model", "Record", "Refused"]


class Refused(Exception):
    """The workspace must refuse this too."""


@dataclass
class Record:
    files: dict[str, bytes]
    tags: set[str]
    inputs: tuple[str, ...] = ()
    status: str = "done"
    tombstones: tuple[tuple[str, str], ...] = ()


class Model:
    def __init__(self) -> None:
        self.data: dict[str, Record] = {}

    def push(self, id_: str, files: Mapping[str, bytes], tags: Iterable[str], inputs: Iterable[str] = ()) -> None:
        self.data[id_] = Record(dict(files), set(tags), tuple(dict.fromkeys(inputs)))

    def tag(
        self, ids: Iterable[str], add: Iterable[str], remove: Iterable[str], remove_keys: Iterable[str]
    ) -> dict[str, tuple[set[str], set[str]]]:
        """What was taken off and what was added, for each data on which anything changed."""
        wanted, unwanted, keys = set(add), set(remove), set(remove_keys)
        changes = {}
        for id_ in self._listed(ids):
            before = self.data[id_].tags
            after = {tag for tag in before if tag not in unwanted and tag.partition(":")[0] not in keys} | wanted
            if after != before:
                changes[id_] = (before - after, after - before)
            self.data[id_].tags = after
        return changes

    def purge(self, ids: Iterable[str], reason: str) -> list[str]:
        fresh = [id_ for id_ in self._listed(ids) if self.data[id_].status == "done"]
        for id_ in fresh:
            self._bury(id_, "purged", reason)
        return fresh

    def remove(self, ids: Iterable[str], reason: str) -> list[str]:
        gone = self._listed(ids)
        if any(id_ not in gone and set(self.data[id_].inputs) & set(gone) for id_ in self.listed()):
            raise Refused
        for id_ in gone:
            self._bury(id_, "removed", reason)
        return gone

    def listed(self) -> list[str]:
        """What `find` shows, newest first."""
        return [id_ for id_, record in reversed(self.data.items()) if record.status != "removed"]

    def find(self, tags: Iterable[str], without: Iterable[str] = ()) -> list[str]:
        wanted, unwanted = set(tags), set(without)
        return [id_ for id_ in self.listed() if wanted <= self.data[id_].tags and not unwanted & self.data[id_].tags]

    def tag_counts(self) -> Counter[str]:
        return Counter(tag for id_ in self.listed() for tag in self.data[id_].tags)

    def upstream(self, id_: str) -> set[str]:
        """The data and everything that it was made of."""
        return {id_}.union(*map(self.upstream, self.data[id_].inputs))

    def downstream(self, id_: str) -> set[str]:
        """The data and everything that was made of it."""
        return {other for other in self.data if id_ in self.upstream(other)}

    def _listed(self, ids: Iterable[str]) -> list[str]:
        known = list(dict.fromkeys(ids))
        if any(self.data[id_].status == "removed" for id_ in known):
            raise Refused
        return known

    def _bury(self, id_: str, kind: str, reason: str) -> None:
        record = self.data[id_]
        record.status = kind
        record.tombstones += ((kind, reason),)
