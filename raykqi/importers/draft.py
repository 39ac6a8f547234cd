"""A plan as it was described, before a workspace has taken it: nothing is stored, no code captured."""

from __future__ import annotations

import msgspec

from raykqi.domain.plan import Definition, PlanSettings

__all__ = ["Draft"]


class Draft(msgspec.Struct, frozen=True):
    """`source` is where its code is: "", an absolute folder, or `git+…://…@ref#subfolder`.

    `source_files` are the files of that folder that make up the code, relative to it; none means all.
    `origin` is the file or function that describes the plan; `warnings` are for whoever wrote it.
    """

    definition: Definition
    settings: PlanSettings = PlanSettings()
    source: str = ""
    source_files: tuple[str, ...] = ()
    origin: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """The params that have no value yet."""
        return tuple(param.name for param in self.definition.params if param.value is None)
