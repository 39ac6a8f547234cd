"""Lineage over HTTP: where data and runs came from, and what came of them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from raykqi.client.asking import Asking, moment_text
from raykqi.client.transport import Params
from raykqi.domain.data import Named, id_of
from raykqi.domain.ids import check_id_prefix
from raykqi.domain.lineage import Ancestries, Lineage
from raykqi.domain.tags import instant_of
from raykqi.errors import InvalidInput

__all__ = ["LineageVerbs", "Way"]

Way = Literal["up", "down", "both"]


class LineageVerbs(Asking):
    def lineage(
        self,
        node: Named,
        *,
        way: Way = "both",
        depth: int | None = None,
        siblings: bool = False,
        as_of: datetime | str | None = None,
    ) -> Lineage:
        """Where a data or run came from and what came of it, `depth` generations far (all without it)."""
        if depth is not None and depth < 1:
            raise InvalidInput(f"a depth of {depth} shows nothing", hint="Give 1 or more, or leave it out for all.")
        if way not in ("up", "down", "both"):
            raise InvalidInput(f"there is no way {way!r}", hint="Choose up, down or both.")
        moment = instant_of(as_of)
        params: Params = [
            ("way", way),
            ("depth", depth),
            ("siblings", siblings or None),
            ("as_of", moment_text(moment)),
        ]
        return self._transport.get(self._path("lineage", check_id_prefix(id_of(node))), Lineage, params)

    def path(self, ancestor: Named, descendant: Named) -> Lineage:
        """The shortest way from one data or run to another that came of it; empty when there is none."""
        params: Params = [
            ("ancestor", check_id_prefix(id_of(ancestor))),
            ("descendant", check_id_prefix(id_of(descendant))),
        ]
        return self._transport.get(self._path("lineage", "path"), Lineage, params)

    def impact(self, node: Named) -> Lineage:
        """Everything that came of a data or run."""
        return self.lineage(node, way="down")

    def compare(self, left: Named, right: Named) -> Ancestries:
        """How the ancestries of two data or runs differ."""
        params: Params = [("left", check_id_prefix(id_of(left))), ("right", check_id_prefix(id_of(right)))]
        return self._transport.get(self._path("lineage", "compare"), Ancestries, params)
