"""Tables align wide characters and give way in narrow terminals."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cli.table import GAP, Column, cut, lay_out
from raykqi.rendering.text import columns as width_of

COLUMNS = (
    Column("ID"),
    Column("NAME", least=4),
    Column("TAGS", least=6, weight=2),
    Column("SIZE", right=True, weight=1),
)
ROWS = (("0193", "photos", "type:dataset", "1 B"), ("0194", "写真", "言語:日本語", "20 MiB"))


def shown(width: int | None) -> list[str]:
    return [GAP.join(cell for cell, _ in row) for row in lay_out(COLUMNS, ROWS, width)]


def test_columns_align_by_what_a_terminal_shows() -> None:
    assert shown(None) == [
        "ID    NAME    TAGS            SIZE",
        "0193  photos  type:dataset     1 B",
        "0194  写真    言語:日本語   20 MiB",
    ]


def test_what_may_shrink_shrinks_first_and_the_widest_most() -> None:
    assert shown(30) == [
        "ID    NAME    TAGS        SIZE",
        "0193  photos  type:da…     1 B",
        "0194  写真    言語:日…  20 MiB",
    ]


def test_then_the_lightest_columns_are_left_out() -> None:
    assert shown(20) == ["ID    NAME    TAGS", "0193  photos  type:…", "0194  写真    言語:…"]
    assert shown(12) == ["ID    NAME", "0193  photos", "0194  写真"]
    assert shown(10) == ["ID    NAME", "0193  pho…", "0194  写真"]


def test_what_must_stay_stays_even_if_it_does_not_fit() -> None:
    assert shown(3) == ["ID    NAME", "0193  pho…", "0194  写真"]


def test_a_column_that_may_go_goes_when_it_is_empty() -> None:
    rows = (("0193", "photos", "", "1 B"),)

    titles, row = ([cell for cell, _ in line] for line in lay_out(COLUMNS, rows, None))

    assert (titles, row) == (["ID  ", "NAME  ", "SIZE"], ["0193", "photos", " 1 B"])


def test_a_cut_text_ends_with_an_ellipsis_and_never_in_half_a_character() -> None:
    assert cut("dataset", 7) == "dataset"
    assert cut("dataset", 4) == "dat…"
    assert cut("日本語", 4) == "日…"
    assert cut("a b c", 3) == "a…"


@given(st.lists(st.lists(st.text("aあ \u0301", max_size=30), min_size=4, max_size=4), max_size=6), st.integers(20, 90))
def test_every_row_fits_when_the_columns_can(rows: list[list[str]], width: int) -> None:
    columns = (
        Column("A", least=3),
        Column("B", least=3),
        Column("C", least=3, weight=1),
        Column("D", least=3, weight=2),
    )

    for row in lay_out(columns, rows, width):
        assert sum(width_of(cell) for cell, _ in row) + len(GAP) * (len(row) - 1) <= width
