"""Text on its way into a picture."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raykqi.rendering.text import clean, clip, columns, em_width


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("two\nlines\tand  tabs ", "two lines and tabs"),
        ("NUL\0 and bell\x07", "NUL and bell"),
        ("\x1b[31mred", "[31mred"),
        ("turned \u202eround", "turned round"),
        ("lone \ud83d surrogate", "lone \ufffd surrogate"),
        ("\ufffe and \uffff", "\ufffd and \ufffd"),
        ("日本語", "日本語"),
    ],
)
def test_only_what_every_format_can_hold_is_left(raw: str, shown: str) -> None:
    assert clean(raw) == shown


def test_a_huge_value_is_cut_before_it_is_measured() -> None:
    assert len(clean("x" * 1_000_000)) == 401


@pytest.mark.parametrize(("text", "wide"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("ｶﾅ", 2)])
def test_wide_characters_take_two_columns_and_combining_none(text: str, wide: int) -> None:
    assert columns(text) == wide


def test_what_fits_is_left_alone_and_what_does_not_ends_in_an_ellipsis() -> None:
    assert clip("データ", 3.0) == "データ"
    assert clip("データセット", 4.0) == "データ…"
    assert clip("anything", 0.1) == "…"


@given(st.text(max_size=60), st.floats(1, 40))
def test_a_clipped_text_is_never_wider_than_asked(text: str, width: float) -> None:
    shown = clip(text, width)

    assert em_width(shown) <= max(width, em_width("…")) + 1e-9
    assert not any(unicodedata.category(char) in {"Cc", "Cs"} for char in shown)
