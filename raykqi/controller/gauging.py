"""What the metric of a model is: as a tag says it, or the `metrics.json` that a run made of it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import suppress

import msgspec

from raykqi.catalog.endpoint_queries import Evaluation, evaluations
from raykqi.controller.index_keeper import IndexKeeper
from raykqi.domain.tags import Tag
from raykqi.errors import RaykqiError, StorageError
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store
from raykqi.storage.materialise import open_file
from raykqi.storage.trees import read_tree

__all__ = ["Gauging"]

FILE = "metrics.json"
PREFIX = "card.metric."
MOST_BYTES = 1 << 20
KEPT = 1_000


class Gauging:
    """Files never change, so each is read once."""

    def __init__(self, keeper: IndexKeeper, store: Store, settings: Settings) -> None:
        self._keeper = keeper
        self._store = store
        self._settings = settings
        self._read: dict[str, dict[str, float]] = {}

    def metric(self, data: str, name: str) -> float | None:
        """Of what runs made of the model the newest that says it counts, and before them the model's own tags."""
        model, made = self._keeper.sound(lambda: evaluations(self._keeper.index, data))
        found = _tagged(model.tags, name)
        for each in made if found is None else ():
            found = _tagged(each.tags, name)
            if found is None:
                found = self._in_file(each).get(name)
            if found is not None:
                return found
        return self._in_file(model).get(name) if found is None else found

    def _in_file(self, evaluation: Evaluation) -> dict[str, float]:
        known = self._read.get(evaluation.tree)
        if known is None:
            if len(self._read) >= KEPT:
                self._read.clear()
            known = self._read[evaluation.tree] = self._load(evaluation.tree)
        return known

    def _load(self, tree: str) -> dict[str, float]:
        listing = read_tree(self._store, tree)
        entry = listing.get(FILE)
        if entry is None or entry.kind != "file" or entry.size > MOST_BYTES:
            return {}
        try:
            said = msgspec.json.decode(b"".join(open_file(self._store, listing, FILE, settings=self._settings)))
        except StorageError:
            raise
        except (RaykqiError, msgspec.DecodeError):
            return {}
        pairs = said.items() if isinstance(said, dict) else ()
        return {name: float(value) for name, value in pairs if _is_number(value)}


def _tagged(tags: Iterable[Tag], name: str) -> float | None:
    for tag in tags:
        if tag.key in (name, PREFIX + name):
            with suppress(ValueError):
                value = float(tag.value)
                if math.isfinite(value):
                    return value
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
