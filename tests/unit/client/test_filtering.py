"""Filters come out of the API as they were typed, whatever time zone the server is in."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from raykqi.client.filtering import filter_params
from raykqi.domain.filter_text import Listed, parse_filters
from raykqi.domain.filters import DateFilter


@pytest.mark.parametrize(
    ("listed", "field", "text"),
    [
        ("data", "size", ">10MB"),
        ("data", "files", "<=3"),
        ("data", "name", "!写真: 春, 夏"),
        ("data", "status", "!done,failed"),
        ("data", "tag", "type:photos,!split:test,a:b:c"),
        ("data", "created", ">=2026-11-20T18:30+09:00"),
        ("data", "created", "<2026-11-20"),
        ("runs", "exit", "=0"),
        ("plans", "active", "yes"),
    ],
)
def test_a_filter_is_read_again_as_it_was_meant(listed: Listed, field: str, text: str) -> None:
    meant = parse_filters(listed, {field: text})
    sent: dict[str, list[str]] = {}
    for name, value in filter_params(meant):
        assert name == "filter"
        key, _, expression = value.partition(":")
        sent.setdefault(key, []).append(expression)

    assert parse_filters(listed, sent) == meant


def test_a_day_is_sent_as_from_when_until_when() -> None:
    day = DateFilter("created", datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC))

    assert list(filter_params([day])) == [
        ("filter", "created:>=2026-11-20T00:00:00+00:00"),
        ("filter", "created:<2026-11-21T00:00:00+00:00"),
    ]
