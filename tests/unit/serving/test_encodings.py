"""Packed bodies, honest and otherwise."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raykqi.errors import InvalidInput, TooLarge, UnknownMedia
from raykqi.serving.encodings import packed, unpacked
from raykqi.serving.frames import Answered

JSON = {"content-type": "application/json"}
BINARY = {"content-type": "application/octet-stream"}


@given(st.binary(max_size=2000))
def test_a_packed_body_is_unpacked(body: bytes) -> None:
    bare = zlib.compressobj(wbits=-15)

    assert unpacked(gzip.compress(body), "gzip", 2000) == body
    assert unpacked(zlib.compress(body), "deflate", 2000) == body
    assert unpacked(bare.compress(body) + bare.flush(), "Deflate", 2000) == body
    assert unpacked(gzip.compress(zlib.compress(body)), "deflate, gzip", 9000) == body
    assert unpacked(body, "identity", 0) == body


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = gzip.compress(bytes(50_000_000))

    with pytest.raises(TooLarge, match="more than 1,000,000 bytes"):
        unpacked(bomb, "gzip", 1_000_000)


@pytest.mark.parametrize(
    ("body", "encoding", "told"),
    [
        (b"no gzip", "gzip", "the body is not gzip"),
        (gzip.compress(b"x" * 5000, mtime=0)[:-9], "gzip", "ends in the middle of its gzip"),
        (b"", "gzip", "ends in the middle of its gzip"),
        (gzip.compress(b"x", mtime=0) + b"more", "gzip", "4 bytes follow after the end of the gzip body"),
        (b"no deflate", "deflate", "the body is not deflate"),
    ],
)
def test_a_body_that_is_not_what_it_says_is_refused(body: bytes, encoding: str, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        unpacked(body, encoding, 10_000)


def test_an_unknown_encoding_is_a_415() -> None:
    with pytest.raises(UnknownMedia, match="'br'"):
        unpacked(b"", "br", 10)


@pytest.mark.parametrize(
    ("accepted", "headers", "size", "encoding"),
    [
        ("gzip", JSON, 5000, "gzip"),
        ("deflate", JSON, 5000, "deflate"),
        ("gzip, deflate, br", JSON, 5000, "gzip"),
        ("br", JSON, 5000, None),
        ("gzip;q=0, deflate", JSON, 5000, "deflate"),
        ("gzip", JSON, 50, None),
        ("", JSON, 5000, None),
        ("gzip", BINARY, 5000, "gzip"),
        ("gzip, deflate", BINARY, 5000, None),
    ],
)
def test_an_answer_is_packed_for_who_wants_it(
    accepted: str, headers: dict[str, str], size: int, encoding: str | None
) -> None:
    answer = packed(Answered(200, headers, b"x" * size), accepted)

    assert answer.headers.get("content-encoding") == encoding
    assert unpacked(answer.body, encoding or "", 5000) == b"x" * size
