"""What a line of a sample holds, and what it never does."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from serve_api.inference.samples import Sample, line_of

SECRET = frozenset({"password"})


def shown(
    body: bytes | None,
    kind: str = "application/json",
    *,
    packed: bool = False,
    head: int = 0,
    leave_out: frozenset[str] = frozenset(),
) -> Any:
    sample = Sample(0.0, 2, "d", 0.0125, 200, body, kind, packed, head, b"{}", "application/json", False, 0)
    line = line_of(sample, leave_out)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    return json.loads(line)["request"]


def test_a_line_says_when_what_and_how_long() -> None:
    sample = Sample(0.0, 2, "d", 0.0125, 200, b"[1]", "", False, 0, b"{}", "application/json", False, 0)

    assert json.loads(line_of(sample, frozenset())) == {
        "time": "1970-01-01T00:00:00.000Z",
        "revision": 2,
        "data": "d",
        "latency": 12.5,
        "status": 200,
        "request": [1],
        "response": {},
    }


def test_bodies_are_json_text_or_bytes() -> None:
    assert shown(b'{"a": [1.5]}') == {"a": [1.5]}
    assert shown("日本".encode(), "text/plain; charset=utf-8") == "日本"
    assert shown(b"\x89PNG", "image/png") == {"base64": "iVBORw==", "type": "image/png"}
    assert shown(b"not json") == {"base64": "bm90IGpzb24=", "type": "application/json"}
    assert shown(gzip.compress(b'{"a": 1}'), packed=True) == {"a": 1}
    assert shown(None) is None


def test_fields_are_struck_out_at_any_depth() -> None:
    body = json.dumps({"a": [{"password": 1, "b": {"password": [2]}}], "password": {"c": 3}}).encode()

    assert shown(body, leave_out=SECRET) == {"a": [{"b": {}}]}
    assert shown(gzip.compress(body), packed=True, leave_out=SECRET) == {"a": [{"b": {}}]}


@pytest.mark.parametrize(
    ("body", "kind", "packed"),
    [
        (b'{"password": 1', "application/json", False),
        (b"password=1", "application/x-www-form-urlencoded", False),
        (b"the password is 1", "text/plain", False),
        (b"password", "application/json", True),
    ],
)
def test_what_cannot_be_looked_through_is_left_out_when_fields_shall_be(body: bytes, kind: str, packed: bool) -> None:
    assert shown(body, kind, packed=packed, leave_out=SECRET) is None


def test_of_binary_tensors_the_head_is_shown_when_fields_shall_be_left_out() -> None:
    head = b'{"id": "1", "password": 2}'

    assert shown(head + b"\x00\x01", head=len(head), leave_out=SECRET) == {"id": "1"}
    assert shown(head + b"\x00\x01", head=len(head)).keys() == {"base64", "type"}


def test_a_packed_body_counts_by_what_it_unpacks_to() -> None:
    packed = gzip.compress(b'"' + b"a" * 5_000 + b'"')
    sample = Sample(0.0, 2, "d", 0.0125, 200, packed, "application/json", True, 0, b"{}", "", False, 0)

    assert json.loads(line_of(sample, frozenset(), 5_002))["request"] == "a" * 5_000
    assert json.loads(line_of(sample, frozenset(), 5_001))["request"] is None


def test_a_packed_body_that_is_damaged_is_left_out() -> None:
    damaged = bytearray(gzip.compress(bytes(range(256)) * 20))
    damaged[20] ^= 0xFF

    assert shown(bytes(damaged), packed=True) is None
