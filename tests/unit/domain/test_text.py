"""Text beside tags: what can be written down, and what is a name."""

from __future__ import annotations

import pytest

from raykqi.domain.text import check_name, check_text
from raykqi.errors import InvalidInput


@pytest.mark.parametrize("text", ["", "契約の終了", "two\nlines", "  "])
def test_text_that_can_be_written_down_stays_as_it_is(text: str) -> None:
    assert check_text(text, "reason") == text


@pytest.mark.parametrize(
    ("text", "message"),
    [("a\0", "reason 'a\\x00' holds NUL"), ("\ud800", "reason '\\ud800' is not valid Unicode")],
)
def test_text_that_cannot_be_written_down_is_quoted(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_text(text, "reason")

    assert refused.value.message == message


def test_a_name_is_one_line_of_moderate_length() -> None:
    assert check_name(" 画像 ", "input") == "画像"
    assert check_name("x" * 1024, "input") == "x" * 1024

    for text in ("", " ", "a\nb", "a\rb", "a\u2028b", "x" * 1025):
        with pytest.raises(InvalidInput, match="is not a name") as refused:
            check_name(text, "input")
        assert len(refused.value.message) < 120
