"""Ids: valid UUIDv7, ascending whatever the clock does, told apart by short prefixes."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raykqi.domain.ids import IdMaker, SystemClock, check_id_prefix, is_id, prefix_range
from raykqi.errors import InvalidInput

START = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
ID = "01939c1c-7d1e-7b0a-9f41-0d9a6c1e2f33"


class SetClock:
    def __init__(self, *times: datetime) -> None:
        self._times = list(times)

    def now(self) -> datetime:
        return self._times.pop(0) if len(self._times) > 1 else self._times[0]


def test_ids_are_version_7_and_carry_the_time() -> None:
    id_ = IdMaker(SetClock(START)).new()

    assert is_id(id_)
    assert uuid.UUID(id_).version == 7
    assert uuid.UUID(id_).variant == uuid.RFC_4122
    assert uuid.UUID(id_).int >> 80 == int(START.timestamp() * 1000)


def test_ids_of_many_threads_ascend_and_differ_early() -> None:
    maker = IdMaker(SystemClock())

    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda _: [maker.new() for _ in range(500)], range(8)))

    assert all(row == sorted(row) for row in rows)
    assert len({id_[:18] for row in rows for id_ in row}) == 4_000


def test_ids_ascend_though_the_clock_stands_or_steps_back() -> None:
    standing = [START] * 5_000
    maker = IdMaker(SetClock(*standing, START - timedelta(days=1), START - timedelta(hours=1), START))

    made = [maker.new() for _ in range(5_003)]

    assert made == sorted(made)
    assert len({id_[:18] for id_ in made}) == 5_003


def test_a_maker_rises_above_the_ids_of_others() -> None:
    theirs = IdMaker(SetClock(START + timedelta(hours=1))).new()
    maker = IdMaker(SetClock(START))
    maker.rise_above("")
    maker.rise_above(theirs)
    maker.rise_above(IdMaker(SetClock(START)).new())

    mine = maker.new()

    assert mine > theirs
    assert mine[:18] != theirs[:18]


def test_the_clock_tells_microseconds_in_utc() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    now = SystemClock().now()

    assert now.tzinfo is UTC
    assert before <= now <= datetime.now(UTC) + timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("prefix", "low", "high"),
    [
        (ID, ID, ID),
        ("0", "00000000-0000-0000-0000-000000000000", "0fffffff-ffff-ffff-ffff-ffffffffffff"),
        ("01939c1c", "01939c1c-0000-0000-0000-000000000000", "01939c1c-ffff-ffff-ffff-ffffffffffff"),
        ("01939c1c-", "01939c1c-0000-0000-0000-000000000000", "01939c1c-ffff-ffff-ffff-ffffffffffff"),
        ("01939c1c-7d1", "01939c1c-7d10-0000-0000-000000000000", "01939c1c-7d1f-ffff-ffff-ffffffffffff"),
    ],
)
def test_a_prefix_is_a_range_of_ids(prefix: str, low: str, high: str) -> None:
    assert prefix_range(prefix) == (low, high)


@pytest.mark.parametrize(
    "prefix", ["-", "0193-9c1c", "01939c1c7", "01939c1c--", "01939c1c-7d1e-7b0a-9f41-0d9a6c1e2f3-"]
)
def test_a_misplaced_dash_begins_no_id(prefix: str) -> None:
    assert check_id_prefix(prefix) == prefix
    assert prefix_range(prefix) is None


@given(st.text("0123456789abcdef-", min_size=1, max_size=36))
def test_a_range_holds_what_begins_with_the_prefix(prefix: str) -> None:
    between = prefix_range(check_id_prefix(prefix))

    if between is None:
        assert [c == "-" for c in prefix] != [c == "-" for c in ID[: len(prefix)]]
    else:
        assert all(is_id(end) and end.startswith(prefix) for end in between)


@pytest.mark.parametrize(
    "text", ["", "  ", "photos", "0193g", ID + "0", "01939c1c\n7", "\ud800", "０１９", "01939c1c;--"]
)
def test_what_begins_no_id_is_quoted(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_id_prefix(text)

    assert refused.value.message == f"{text!r} is not an id or the beginning of one"
    assert "raykqi data find" in refused.value.hint


def test_a_prefix_may_be_written_in_upper_case_and_with_space_around_it() -> None:
    assert check_id_prefix(" 01939C1C\n") == "01939c1c"


@pytest.mark.parametrize("text", [ID.upper(), ID[:-1], ID + "\n", ID.replace("-", ""), ""])
def test_only_the_whole_id_in_lower_case_is_one(text: str) -> None:
    assert is_id(ID)
    assert not is_id(text)
