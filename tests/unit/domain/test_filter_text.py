"""Filters as people type them: each kind of field, each operator, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from raykqi.domain.filter_text import Listed, by_field, parse_filters
from raykqi.domain.filters import ChoiceFilter, DateFilter, NumberFilter, Operator, TagFilter, TextFilter
from raykqi.domain.tags import Tag
from raykqi.errors import InvalidQuery, InvalidTag


@pytest.mark.parametrize(
    ("text", "operator", "value"),
    [
        ("5", "=", 5),
        ("=5", "=", 5),
        (">5", ">", 5),
        (">=5", ">=", 5),
        ("<5", "<", 5),
        (" <= 5 ", "<=", 5),
        ("-1", "=", -1),
        ("9999999999999999999", "=", 2**63 - 1),
    ],
)
def test_a_number_is_compared(text: str, operator: Operator, value: int) -> None:
    assert parse_filters("data", {"files": text}) == (NumberFilter("files", operator, value),)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500", 500),
        (">10MB", 10_000_000),
        (">10MiB", 10 * 2**20),
        (">10M", 10 * 2**20),
        (">1.5GiB", 3 * 2**29),
        ("<=2 kB", 2000),
        ("=7B", 7),
    ],
)
def test_a_size_may_have_a_unit(text: str, value: int) -> None:
    (found,) = parse_filters("data", {"size": text})

    assert isinstance(found, NumberFilter)
    assert found.value == value


def bounds(field: str, since: datetime | None, until: datetime | None) -> tuple[DateFilter, ...]:
    first, last = DateFilter(field, since=since), DateFilter(field, until=until)
    return tuple(each for each in (first, last) if each.since or each.until)


def at(*when: int) -> datetime:
    return datetime(*when, tzinfo=UTC)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("2026-11-20T00:00+00:00", at(2026, 11, 20), at(2026, 11, 20, 0, 1)),
        ("=2026-11-20T18:30:05Z", at(2026, 11, 20, 18, 30, 5), at(2026, 11, 20, 18, 30, 6)),
        (">2026-11-20T18:30Z", at(2026, 11, 20, 18, 31), None),
        (">=2026-11-20T18:30+09:00", at(2026, 11, 20, 9, 30), None),
        ("<2026-11-20T18:30Z", None, at(2026, 11, 20, 18, 30)),
        ("<= 2026-11-20T18:30Z", None, at(2026, 11, 20, 18, 31)),
        ("2026-11-20T18:30:05.25Z", at(2026, 11, 20, 18, 30, 5, 250_000), at(2026, 11, 20, 18, 30, 5, 250_001)),
    ],
)
def test_a_time_means_all_of_what_is_written(text: str, since: datetime | None, until: datetime | None) -> None:
    assert parse_filters("runs", {"started": text}) == bounds("started", since, until)


def test_a_bare_date_is_that_whole_day_here() -> None:
    midnight, next_midnight = (datetime(2026, 11, day).astimezone(UTC) for day in (20, 21))

    for text, since, until in [
        ("2026-11-20", midnight, next_midnight),
        (">2026-11-20", next_midnight, None),
        (">=2026-11-20", midnight, None),
        ("<2026-11-20", None, midnight),
        ("<=2026-11-20", None, next_midnight),
    ]:
        assert parse_filters("data", {"created": text}) == bounds("created", since, until)


def test_a_text_is_looked_for_as_it_stands() -> None:
    assert parse_filters("data", {"name": "写真 A", "creator": "!hana"}) == (
        TextFilter("name", "写真 A"),
        TextFilter("creator", "hana", without=True),
    )


def test_tags_are_joined_by_commas_and_excluded_by_a_mark() -> None:
    assert parse_filters("data", {"tag": ["type:photos, !split:test", "a:1"]}) == (
        TagFilter(Tag("type", "photos")),
        TagFilter(Tag("split", "test"), without=True),
        TagFilter(Tag("a", "1")),
    )


def test_choices_are_words_that_there_are() -> None:
    assert parse_filters("runs", {"status": "Done,failed"}) == (ChoiceFilter("status", ("done", "failed")),)
    assert parse_filters("plans", {"active": "!yes"}) == (ChoiceFilter("active", ("yes",), without=True),)


def test_several_expressions_for_one_field_are_all_kept() -> None:
    assert parse_filters("data", {"size": [">1", "<=9"]}) == (
        NumberFilter("size", ">", 1),
        NumberFilter("size", "<=", 9),
    )
    assert parse_filters("data", None) == ()


@pytest.mark.parametrize(
    ("listed", "field", "text", "said"),
    [
        ("data", "memo", "x", "data have no field 'memo' to filter by\nThere are id, name, status,"),
        ("data", "files", "many", "filter files: 'many' is no whole number"),
        ("data", "files", ">", "filter files: '' is no whole number"),
        ("data", "files", "><5", "filter files: '<5' is no whole number"),
        ("data", "size", "5 apples", "filter size: '5 apples' is no size"),
        ("data", "created", "soon", "filter created: 'soon' is not a date or time"),
        ("data", "created", "9999-12-31", "filter created: '9999-12-31' is not a date or time"),
        ("runs", "status", "lost", "filter status: 'lost' is no status"),
        ("plans", "active", "maybe", "filter active: 'maybe' is no active\nChoose from yes, no."),
    ],
)
def test_what_is_no_filter_is_refused_with_what_would_be_one(listed: Listed, field: str, text: str, said: str) -> None:
    with pytest.raises(InvalidQuery) as refused:
        parse_filters(listed, {field: text})

    assert str(refused.value).startswith(said)
    assert refused.value.hint


def test_a_tag_in_a_filter_is_a_tag() -> None:
    with pytest.raises(InvalidTag):
        parse_filters("data", {"tag": "nothing"})


def test_fields_and_expressions_come_apart_at_the_first_separator() -> None:
    assert by_field(["size=>=10", "size=<20", "tag=a:1", "name="], "=") == {
        "size": [">=10", "<20"],
        "tag": ["a:1"],
        "name": [""],
    }
    assert by_field(["tag:a:1"], ":") == {"tag": ["a:1"]}
    with pytest.raises(InvalidQuery, match="filter 'size' has no '='"):
        by_field(["size"], "=")
