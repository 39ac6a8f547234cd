"""What a process prints."""

from __future__ import annotations

import pytest

from raykqi.serving.said import Said


@pytest.fixture
def lines() -> list[str]:
    return []


def test_lines_come_whole_however_they_were_cut(lines: list[str]) -> None:
    told = Said(lines.append)
    for piece in (b"one\ntw", b"o\n", "日本".encode()[:4], "日本".encode()[4:] + b"\r\nlast"):
        told.data_received(piece)
    told.connection_lost(None)

    assert lines == ["one", "two", "日本", "last"]
    assert told.last() == ": last"


def test_a_line_without_an_end_is_told_in_pieces(lines: list[str]) -> None:
    told = Said(lines.append)
    told.data_received(b"x" * 10_000)
    told.connection_lost(None)

    assert [len(each) for each in lines] == [4096, 4096, 1808]


def test_nothing_said_adds_nothing_to_a_reason(lines: list[str]) -> None:
    told = Said(lines.append)
    told.data_received(b"\n  \n")

    assert told.last() == ""


def test_more_lines_than_anyone_reads_are_counted(lines: list[str]) -> None:
    now = 100.0
    told = Said(lines.append, lambda: now)

    told.data_received(b"again\n" * 1600)
    now = 101.0
    told.data_received(b"quiet\n")

    assert lines[:500] == ["again"] * 500
    assert lines[500:] == ["(1100 more lines of that second are left out)", "quiet"]
