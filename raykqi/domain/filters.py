"""Filters of lists as values: one condition on one field each."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from raykqi.domain.tags import Tag

__all__ = ["ChoiceFilter", "DateFilter", "Filter", "NumberFilter", "Operator", "TagFilter", "TextFilter"]

Operator = Literal["=", ">", ">=", "<", "<="]


class NumberFilter(msgspec.Struct, frozen=True, tag="number"):
    field: str
    operator: Operator
    value: int


class DateFilter(msgspec.Struct, frozen=True, tag="date"):
    """From `since` on, or before `until`."""

    field: str
    since: datetime | None = None
    until: datetime | None = None


class TextFilter(msgspec.Struct, frozen=True, tag="text"):
    field: str
    text: str
    without: bool = False


class ChoiceFilter(msgspec.Struct, frozen=True, tag="choice"):
    field: str
    words: tuple[str, ...]
    without: bool = False


class TagFilter(msgspec.Struct, frozen=True, tag="tag"):
    tag: Tag
    without: bool = False


Filter = NumberFilter | DateFilter | TextFilter | ChoiceFilter | TagFilter
