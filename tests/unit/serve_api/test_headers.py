"""Ranges, conditions and names of files in headers."""

from __future__ import annotations

import pytest

from serve_api.bytes.headers import Span, describe_file, disposition, is_same, media_type_of, span_of

ETAG = '"abc"'


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ({}, None),
        ({"range": "bytes=0-9"}, Span(0, 10)),
        ({"range": "bytes=90-"}, Span(90, 100)),
        ({"range": "bytes=90-200"}, Span(90, 100)),
        ({"range": "bytes=-10"}, Span(90, 100)),
        ({"range": "bytes=-200"}, Span(0, 100)),
        ({"range": "bytes=100-"}, Span(100, 100, False)),
        ({"range": "bytes=-0"}, Span(100, 100, False)),
        ({"range": "bytes=5-3"}, None),
        ({"range": "bytes=0-1,5-6"}, None),
        ({"range": "bytes=-"}, None),
        ({"range": "lines=0-1"}, None),
        ({"range": f"bytes={'9' * 30}-"}, None),
        ({"range": "bytes=0-9", "if-range": ETAG}, Span(0, 10)),
        ({"range": "bytes=0-9", "if-range": '"other"'}, None),
        ({"range": "bytes=0-9", "if-range": f"W/{ETAG}"}, None),
    ],
)
def test_one_range_is_understood_and_the_rest_asks_for_the_whole(asked: dict[str, str], answered: Span | None) -> None:
    assert span_of(asked, 100, ETAG) == answered


def test_whoever_has_the_bytes_need_not_get_them() -> None:
    assert [is_same({"if-none-match": text}, ETAG) for text in (ETAG, 'W/"abc"', '"x", "abc"', "*", '"x"', "")] == [
        True,
        True,
        True,
        True,
        False,
        False,
    ]


def test_names_in_any_script_arrive() -> None:
    assert disposition("a b.txt") == 'attachment; filename="a b.txt"'
    assert disposition('紅葉"1.png') == (
        "attachment; filename=\"___1.png\"; filename*=UTF-8''%E7%B4%85%E8%91%89%221.png"
    )
    assert "\n" not in disposition("a\nSet-Cookie: x")


def test_what_a_browser_could_run_is_kept_from_running() -> None:
    headers = describe_file("docs/page.HTML", "ab")

    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Content-Disposition"].startswith("attachment;")
    assert headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert media_type_of("a.tar.gz") == "application/gzip"
    assert media_type_of("weights") == "application/octet-stream"
