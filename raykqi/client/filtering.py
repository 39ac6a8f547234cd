"""Filters as a parameter of the API: `field:expression`, with every time in UTC and every size in bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from raykqi.domain.filters import ChoiceFilter, DateFilter, Filter, NumberFilter, TagFilter, TextFilter

__all__ = ["filter_params"]


def filter_params(filters: Iterable[Filter]) -> Iterator[tuple[str, str]]:
    """What means the same wherever it is read."""
    for each in filters:
        if isinstance(each, DateFilter):
            bounds = ((">=", each.since), ("<", each.until))
            yield from (("filter", f"{each.field}:{sign}{at.isoformat()}") for sign, at in bounds if at)
        else:
            yield "filter", _text(each)


def _text(each: NumberFilter | TextFilter | ChoiceFilter | TagFilter) -> str:
    if isinstance(each, NumberFilter):
        return f"{each.field}:{each.operator}{each.value}"
    negation = "!" if each.without else ""
    if isinstance(each, TagFilter):
        return f"tag:{negation}{each.tag}"
    return f"{each.field}:{negation}{','.join(each.words) if isinstance(each, ChoiceFilter) else each.text}"
