"""Filters as conditions in SQL. What stands in their text is ours: fields become expressions, values parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

from raykqi.domain.filters import ChoiceFilter, DateFilter, Filter, NumberFilter, TextFilter

__all__ = ["DATA_COLUMNS", "PLAN_COLUMNS", "RUN_COLUMNS", "conditions_of"]

Condition = tuple[str, list[object]]

# A column, or for a text that is in other rows the condition with the place of `contains` in it.
DATA_COLUMNS = {
    "id": "d.id::VARCHAR",
    "name": "d.number IN (SELECT data FROM tag WHERE key = 'name' AND {contains:value})",
    "status": "d.status",
    "size": "d.size",
    "files": "d.files",
    "created": "d.created",
    "creator": "d.creator",
}
RUN_COLUMNS = {
    "id": "r.id::VARCHAR",
    "plan": """r.plan IN (
        SELECT id FROM plan WHERE {contains:CASE WHEN name <> '' THEN name WHEN image <> '' THEN image ELSE id END}
    )""",
    "status": "r.status",
    "created": "r.created",
    "started": "r.started",
    "ended": "r.ended",
    "creator": "r.creator",
    # Data of another project has no id here.
    "input": """r.number IN (
        SELECT i.run FROM run_input i JOIN data g ON g.number = i.data JOIN run t ON t.number = i.run
        WHERE g.project = t.project AND {contains:g.id::VARCHAR}
    )""",
    "exit": "r.exit_code",
    "attempt": "r.attempt",
    "node": "r.node",
}
PLAN_COLUMNS = {
    "id": "p.id",
    "name": "p.name",
    "image": "p.image",
    "created": "p.created",
    "creator": "p.creator",
    "active": "CASE WHEN p.active THEN 'yes' ELSE 'no' END",
}
_BEGIN = "{contains:"


def conditions_of(filters: Iterable[Filter], columns: Mapping[str, str]) -> Iterator[Condition]:
    """One for each filter but those of tags."""
    for each in filters:
        if isinstance(each, NumberFilter):
            yield f"{columns[each.field]} {each.operator} ?", [each.value]
        elif isinstance(each, DateFilter):
            yield from _between(columns[each.field], each)
        elif isinstance(each, ChoiceFilter):
            negation = "NOT " if each.without else ""
            yield f"{negation}{columns[each.field]} IN (SELECT unnest(?::VARCHAR[]))", [list(each.words)]
        elif isinstance(each, TextFilter):
            negation = "NOT " if each.without else ""
            yield f"{negation}({_containing(columns[each.field])})", [each.text]


def _between(column: str, wanted: DateFilter) -> Iterator[Condition]:
    if wanted.since:
        yield f"{column} >= ?", [_naive(wanted.since)]
    if wanted.until:
        yield f"{column} < ?", [_naive(wanted.until)]


def _containing(column: str) -> str:
    before, begin, rest = column.partition(_BEGIN)
    if not begin:
        return f"contains({column}, ?)"
    expression, _, after = rest.partition("}")
    return f"{before}contains({expression}, ?){after}"


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
