"""What people type for sizes, times, durations and limits, and how such values are shown."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.values import (
    parse_duration,
    parse_limit,
    parse_moment,
    parse_size,
    short_ids,
    show_count,
    show_duration,
    show_local,
    show_size,
)
from raykqi.errors import InvalidInput

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("500", 500),
        ("500B", 500),
        ("10MB", 10_000_000),
        ("10MiB", 10_485_760),
        ("10M", 10_485_760),
        ("64k", 65_536),
        ("1.5GiB", 1_610_612_736),
        (" 2 TB ", 2_000_000_000_000),
        ("1PiB", 1_125_899_906_842_624),
    ],
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    assert parse_size(text, "--min-size") == size


@pytest.mark.parametrize("text", ["", "x", "-1", "10XB", "1e3", "MB", "1.MB", "10 MB MB"])
def test_what_is_no_size_is_refused_by_option_and_value(text: str) -> None:
    with pytest.raises(InvalidInput) as error:
        parse_size(text, "--min-size")
    assert error.value.message == f"--min-size {text!r} is not a size"


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90s", timedelta(seconds=90)),
        ("1h30m", timedelta(hours=1, minutes=30)),
        ("2d", timedelta(days=2)),
        ("1w", timedelta(days=7)),
        ("250ms", timedelta(milliseconds=250)),
        ("1.5H", timedelta(minutes=90)),
        ("0s", timedelta()),
    ],
)
def test_durations_are_read_as_people_write_them(text: str, duration: timedelta) -> None:
    assert parse_duration(text, "--grace") == duration


@pytest.mark.parametrize("text", ["", "5", "h", "1y", "-1h", "1h 30", "999999999999w"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"--grace .* is (not a duration|too long)"):
        parse_duration(text, "--grace")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-20", datetime(2026, 11, 19, 15, tzinfo=UTC)),
        ("2026-11-20T18:30", datetime(2026, 11, 20, 9, 30, tzinfo=UTC)),
        ("2026-11-20 18:30:00.5+01:00", datetime(2026, 11, 20, 17, 30, 0, 500_000, tzinfo=UTC)),
        ("2026-11-20T18:30Z", datetime(2026, 11, 20, 18, 30, tzinfo=UTC)),
        ("now", NOW),
        ("today", datetime(2026, 11, 19, 15, tzinfo=UTC)),
        ("Yesterday", datetime(2026, 11, 18, 15, tzinfo=UTC)),
        ("2h", datetime(2026, 11, 20, 7, 30, tzinfo=UTC)),
    ],
)
def test_times_are_local_named_or_so_long_ago(tokyo: None, text: str, moment: datetime) -> None:
    assert parse_moment(text, "--since", now=NOW) == moment


@pytest.mark.parametrize("text", ["", "someday", "2026-13-01", "9999999w", "0000-01-01"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="--since"):
        parse_moment(text, "--since", now=NOW)


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused_and_never_crashes(text: str) -> None:
    for parse in (parse_size, parse_duration, parse_moment, parse_limit):
        refusal = None
        try:
            parse(text, "--option")
        except InvalidInput as error:
            refusal = error
        assert refusal is None or (refusal.message.startswith("--option ") and refusal.hint)


def test_limits_are_numbers_from_one_or_all() -> None:
    assert parse_limit("20", "--limit") == 20
    assert parse_limit(" ALL ", "--limit") is None
    for text in ("0", "-1", "1.5", "", "some", "²"):
        with pytest.raises(InvalidInput):
            parse_limit(text, "--limit")


def test_sizes_are_shown_in_the_largest_unit_that_fits() -> None:
    shown = [show_size(size) for size in (0, 1023, 1024, 1024**2 - 1, 3_500_000, 1024**4, 1024**6)]
    assert shown == ["0 B", "1023 B", "1.0 KiB", "1.0 MiB", "3.3 MiB", "1.0 TiB", "1024.0 PiB"]


def test_times_are_shown_where_the_reader_is(tokyo: None) -> None:
    assert show_local(NOW) == "2026-11-20 18:30"
    assert show_local(NOW, seconds=True) == "2026-11-20 18:30:00 +0900"


def test_durations_are_shown_as_a_clock() -> None:
    assert [show_duration(seconds) for seconds in (0, 7.9, 750, 11_105)] == ["0:00", "0:07", "12:30", "3:05:05"]


def test_counts_agree_with_their_noun() -> None:
    assert show_count(1, "file") == "1 file"
    assert show_count(1200, "file") == "1,200 files"
    assert show_count(0, "entry", "entries") == "0 entries"


def test_short_ids_are_unique_and_as_long_as_they_must_be() -> None:
    apart = "01939c1c-7d1e-7b0a-9f41-0d9a6c1e2f33"
    twins = ("01939c1c-9999-7b0a-9f41-0d9a6c1e2f33", "01939c1c-9999-7b0a-9f41-0d9b6c1e2f33")

    assert short_ids([apart, *twins]) == {
        apart: "01939c1c-7d1e-7b0a",
        twins[0]: "01939c1c-9999-7b0a-9f41-0d9a",
        twins[1]: "01939c1c-9999-7b0a-9f41-0d9b",
    }


@given(st.sets(st.uuids(version=4).map(str), max_size=20))
def test_a_short_id_begins_one_id_only(ids: set[str]) -> None:
    for id_, short in short_ids(ids).items():
        assert [other for other in ids if other.startswith(short)] == [id_]
