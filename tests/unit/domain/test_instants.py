"""Instants, as people write them and as they are shown."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raykqi.domain.tags import parse_instant, show_instant
from raykqi.errors import InvalidTag


@pytest.fixture
def _in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-20T09:30:00Z", datetime(2026, 11, 20, 9, 30, tzinfo=UTC)),
        (" 2026-11-20 18:30:00.123+09:00 ", datetime(2026, 11, 20, 9, 30, 0, 123000, tzinfo=UTC)),
        ("2026-11-20T09:30:00.123456+00:00", datetime(2026, 11, 20, 9, 30, 0, 123456, tzinfo=UTC)),
    ],
)
def test_an_offset_is_honoured(text: str, moment: datetime) -> None:
    assert parse_instant(text) == moment
    assert parse_instant(text).tzinfo is UTC


@pytest.mark.usefixtures("_in_tokyo")
def test_without_an_offset_it_is_local_time() -> None:
    assert parse_instant("2026-11-20") == datetime(2026, 11, 19, 15, tzinfo=UTC)
    assert parse_instant("2026-11-20T18:30") == datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026-11-20T25:00", "12:30", "\ud800", "二〇二六年"])
def test_what_is_no_instant_is_quoted(text: str) -> None:
    with pytest.raises(InvalidTag, match="is not a date or time") as refused:
        parse_instant(text)

    assert "2026-11-20T18:30:00" in refused.value.hint


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+09:00", "9999-12-31T23:59:59-09:00", "0001-01-01"])
@pytest.mark.usefixtures("_in_tokyo")
def test_an_instant_beyond_the_calendar_is_refused(text: str) -> None:
    with pytest.raises(InvalidTag, match="is not a date or time"):
        parse_instant(text)


def test_instants_are_shown_in_utc_to_the_millisecond() -> None:
    tokyo = timezone(timedelta(hours=9))

    assert show_instant(datetime(2026, 11, 20, 18, 30, 0, 123_999, tokyo)) == "2026-11-20T09:30:00.123+00:00"


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)))
def test_what_is_shown_is_read_as_the_same_millisecond(moment: datetime) -> None:
    assert parse_instant(show_instant(moment)) == moment.replace(microsecond=moment.microsecond // 1000 * 1000)
