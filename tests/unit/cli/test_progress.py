"""The progress bar: what it says in how much room, and its silence where nobody watches."""

from __future__ import annotations

import io
import sys

import pytest

from cli.progress import Bar
from raykqi.rendering.text import columns

MIB = 1024 * 1024


def half_way(label: str = "push photos") -> Bar:
    bar = Bar()
    bar.start(label, 1000, 200 * MIB)
    bar.advance(250, 60 * MIB)
    bar.advance(250, 40 * MIB)
    return bar


def test_it_tells_share_amount_files_speed_and_time_left() -> None:
    assert half_way()._text(10.0, 120) == (
        "push photos   50%  100.0 MiB of 200.0 MiB  500 of 1,000 files  10.0 MiB/s  0:10 left  ████████████░░░░░░░░░░░░"
    )


@pytest.mark.parametrize("width", [20, 30, 40, 60, 80, 100, 200])
@pytest.mark.parametrize(
    "label", ["push a", "push /a/very/long/path/to/some/photos/of/somebody", "push 写真/日本語の名前/とても長い"]
)
def test_it_never_takes_more_than_the_line(width: int, label: str) -> None:
    assert columns(half_way(label)._text(10.0, width)) <= width


def test_it_goes_by_files_where_sizes_are_unknown() -> None:
    bar = Bar()
    bar.start("fsck", 4, 0)
    bar.advance(1, 0)

    assert bar._text(1.0, 62) == "fsck   25%  1 of 4 files  0:03 left  ██████░░░░░░░░░░░░░░░░░░"


def test_nothing_to_do_and_too_much_done_are_no_trouble() -> None:
    bar = Bar()
    assert bar._text(0.0, 80).split() == ["0%", "░" * 24]
    bar.start("push", 1, 10)
    bar.advance(1, 15)
    assert "100%" in bar._text(0.0, 80)


def test_nobody_watching_means_no_output(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)

    with Bar() as bar:
        bar.start("push", 1, 10)
        bar.advance(1, 10)

    assert stream.getvalue() == ""
