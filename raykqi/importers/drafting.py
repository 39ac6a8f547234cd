"""Whatever describes a plan as a draft: a plan file, a decorated function, or a draft."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from raykqi.errors import InvalidInput
from raykqi.importers.checking import checked
from raykqi.importers.draft import Draft
from raykqi.importers.functions import PlanFunction
from raykqi.importers.params import with_params
from raykqi.importers.planfile import read_plan

__all__ = ["draft_of"]


def draft_of(
    plan: str | Path | Draft | PlanFunction[..., object],
    *,
    params: Mapping[str, object] | None = None,
    variables: Mapping[str, str] | None = None,
) -> Draft:
    """With every rule checked, and `params` in place of defaults."""
    if isinstance(plan, PlanFunction):
        return plan.draft(params=params)
    if isinstance(plan, Draft):
        return with_params(checked(plan), params or {})
    if isinstance(plan, str | Path):
        return read_plan(plan, params=params, variables=variables)
    raise InvalidInput(f"{plan!r} is no plan", hint="Give a plan file, or a function that @raykqi.plan was put before.")
