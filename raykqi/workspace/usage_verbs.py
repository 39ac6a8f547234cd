"""What projects use."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from raykqi.domain.tags import instant_of
from raykqi.workspace.inside import Inside

if TYPE_CHECKING:
    from raykqi.domain.access import Usage

__all__ = ["UsageVerbs"]


class UsageVerbs(Inside):
    def usage(
        self, project: str = "", *, since: datetime | str | None = None, until: datetime | str | None = None
    ) -> Usage:
        """What a project uses now, this one unless another is named; and what the runs took that ended meanwhile."""
        from raykqi.catalog.usage_queries import usage_of

        named, first, last = project or self._project, instant_of(since), instant_of(until)
        return self._read(lambda: usage_of(self._keeper.index, named, since=first, until=last))
