"""What one asks about lineage: where data and runs came from, and what came of them."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from raykqi.domain.data import Named
from raykqi.domain.tags import instant_of
from raykqi.errors import InvalidInput
from raykqi.workspace.inside import Inside

if TYPE_CHECKING:
    from raykqi.catalog.lineage import LineageReader, Way
    from raykqi.domain.lineage import Ancestries, Lineage

__all__ = ["LineageVerbs"]


class LineageVerbs(Inside):
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
        whole = self.resolve(node)
        moment = instant_of(as_of)
        project = self._project
        return self._read(
            lambda: self._lineage.around(whole, way=way, depth=depth, siblings=siblings, as_of=moment, project=project)
        )

    def path(self, ancestor: Named, descendant: Named) -> Lineage:
        """The shortest way from one data or run to another that came of it; empty when there is none."""
        source, target = self.resolve(ancestor), self.resolve(descendant)
        return self._read(lambda: self._lineage.path(source, target, project=self._project))

    def impact(self, node: Named) -> Lineage:
        """Everything that came of a data or run."""
        return self.lineage(node, way="down")

    def compare(self, left: Named, right: Named) -> Ancestries:
        """How the ancestries of two data or runs differ."""
        one, other = self.resolve(left), self.resolve(right)
        return self._read(lambda: self._lineage.compare(one, other, project=self._project))

    @cached_property
    def _lineage(self) -> LineageReader:
        from raykqi.catalog.lineage import LineageReader

        return LineageReader(self._keeper.index)
