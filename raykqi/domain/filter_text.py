"""What lists are filtered by, as people type it: `>=10`, `2026-11-20`, `!draft`, `type:photos,!split:test`.

| kind | expressions |
| --- | --- |
| number | `5` or `=5`, `>5`, `>=5`, `<5`, `<=5` |
| size | as numbers, with a unit if wanted: `>10MB`, `<=1.5GiB` |
| date | the same with a date or time, local without an offset; a bare date is that whole day |
| text | a part of it, upper and lower case told apart; `!` in front: without it |
| choice | one or more of some words, by commas; `!` in front: none of them |
| tag | one or more, by commas: all of them; `!` in front of one: without it |
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal, cast

from raykqi.domain.filters import ChoiceFilter, DateFilter, Filter, NumberFilter, Operator, TagFilter, TextFilter
from raykqi.domain.run import STATUSES
from raykqi.domain.tags import parse_query_tag
from raykqi.domain.text import check_text
from raykqi.errors import InvalidQuery

__all__ = ["DATA_FIELDS", "PLAN_FIELDS", "RUN_FIELDS", "Listed", "by_field", "parse_filters"]

Listed = Literal["data", "runs", "plans"]
Kind = Literal["number", "size", "date", "text", "choice", "tag"]

DATA_FIELDS: dict[str, Kind] = {
    "id": "text", "name": "text", "status": "choice", "size": "size", "files": "number", "created": "date",
    "creator": "text", "tag": "tag",
}  # fmt: skip
RUN_FIELDS: dict[str, Kind] = {
    "id": "text", "plan": "text", "status": "choice", "created": "date", "started": "date", "ended": "date",
    "creator": "text", "input": "text", "exit": "number", "attempt": "number", "node": "text",
}  # fmt: skip
PLAN_FIELDS: dict[str, Kind] = {
    "id": "text", "name": "text", "image": "text", "created": "date", "creator": "text", "active": "choice",
}  # fmt: skip
_FIELDS: dict[Listed, dict[str, Kind]] = {"data": DATA_FIELDS, "runs": RUN_FIELDS, "plans": PLAN_FIELDS}
_CHOICES: dict[tuple[Listed, str], tuple[str, ...]] = {
    ("data", "status"): ("processing", "done", "failed", "purged"),
    ("runs", "status"): STATUSES,
    ("plans", "active"): ("yes", "no"),
}
LARGEST = (1 << 63) - 1
_COMPARED = re.compile(r"\s*(>=|<=|=|>|<)?\s*(.*?)\s*\Z", re.DOTALL)
_NUMBER = re.compile(r"-?[0-9]{1,19}\Z")
_SIZE = re.compile(r"([0-9]{1,19}(?:\.[0-9]+)?)\s*(?:([KMGTP])(i?B?))?B?\Z", re.IGNORECASE)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_MINUTE = re.compile(r"[^T ]+[T ][0-9]{2}:[0-9]{2}([+-][0-9:]+|Z)?\Z")


def parse_filters(listed: Listed, given: Mapping[str, str | Iterable[str]] | None) -> tuple[Filter, ...]:
    """From field → expression, or several of them, all of which must hold."""
    found: list[Filter] = []
    for field, texts in (given or {}).items():
        kind = _FIELDS[listed].get(field)
        if kind is None:
            raise InvalidQuery(
                f"{listed} have no field {field!r} to filter by", hint=f"There are {', '.join(_FIELDS[listed])}."
            )
        for text in [texts] if isinstance(texts, str) else texts:
            found += _parse(listed, field, kind, check_text(text, f"filter {field}"))
    return tuple(found)


def by_field(texts: Iterable[str], separator: str) -> dict[str, list[str]]:
    """From texts such as `size=>10MB`, where `=` is the separator, to what `parse_filters` takes."""
    found: dict[str, list[str]] = {}
    for text in texts:
        field, middle, expression = text.partition(separator)
        if not middle:
            raise InvalidQuery(
                f"filter {text!r} has no {separator!r}",
                hint=f"Write it like size{separator}>10MB or name{separator}cat.",
            )
        found.setdefault(field.strip(), []).append(expression)
    return found


def _parse(listed: Listed, field: str, kind: Kind, text: str) -> Iterable[Filter]:
    if kind == "text":
        without = text.startswith("!")
        yield TextFilter(field, text[1:] if without else text, without)
    elif kind == "choice":
        without = text.startswith("!")
        yield ChoiceFilter(field, _words(listed, field, text.removeprefix("!")), without)
    elif kind == "tag":
        for each in filter(None, (part.strip() for part in text.split(","))):
            yield TagFilter(parse_query_tag(each.removeprefix("!")), each.startswith("!"))
    elif kind == "date":
        yield from _date(field, text)
    else:
        operator, rest = _operator(text)
        yield NumberFilter(field, operator, _size(field, rest) if kind == "size" else _number(field, rest))


def _words(listed: Listed, field: str, text: str) -> tuple[str, ...]:
    known = _CHOICES[listed, field]
    words = tuple(word.strip().lower() for word in text.split(","))
    for word in words:
        if word not in known:
            raise InvalidQuery(f"filter {field}: {word!r} is no {field}", hint=f"Choose from {', '.join(known)}.")
    return words


def _operator(text: str) -> tuple[Operator, str]:
    found = _COMPARED.match(text)
    assert found
    return cast("Operator", found[1] or "="), found[2]


def _number(field: str, text: str) -> int:
    if not _NUMBER.match(text):
        raise InvalidQuery(f"filter {field}: {text!r} is no whole number", hint="Write it like 5, >5, >=5, <5 or <=5.")
    return _bounded(int(text))


def _size(field: str, text: str) -> int:
    found = _SIZE.match(text)
    if not found:
        raise InvalidQuery(f"filter {field}: {text!r} is no size", hint="Write it like >500, <=10MB or >1.5GiB.")
    number, unit, ending = found[1], found[2], found[3] or ""
    base = 1000 if unit and ending.upper() == "B" else 1024
    power = "KMGTP".index(unit.upper()) + 1 if unit else 0
    return _bounded(int(number) * base**power if number.isdigit() else round(float(number) * base**power))


def _bounded(value: int) -> int:
    """The same question in numbers that the index can hold."""
    return max(-LARGEST, min(value, LARGEST))


def _date(field: str, text: str) -> Iterable[Filter]:
    """What is written to the day, minute or second means all of it."""
    operator, rest = _operator(text)
    try:
        first = datetime.fromisoformat(rest)
        length = timedelta(days=1) if _DATE.match(rest) else timedelta(minutes=1) if _MINUTE.match(rest) else None
        length = length or (timedelta(microseconds=1) if first.microsecond else timedelta(seconds=1))
        begin, end = first.astimezone(UTC), (first + length).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidQuery(
            f"filter {field}: {rest!r} is not a date or time",
            hint="Write it like 2026-11-20, >=2026-11-20 or <2026-11-20T18:30.",
        ) from None
    bounds: dict[Operator, tuple[datetime | None, datetime | None]] = {
        "=": (begin, end),
        ">": (end, None),
        ">=": (begin, None),
        "<": (None, begin),
        "<=": (None, end),
    }
    since, until = bounds[operator]
    if since:
        yield DateFilter(field, since=since)
    if until:
        yield DateFilter(field, until=until)
