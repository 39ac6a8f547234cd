"""A form, chunk by chunk: its files in a staged tree, its fields beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from raykqi.errors import InvalidInput, RaykqiError, TooLarge, UnsafePath
from serve_api.bytes.multipart import Multipart, boundary_of
from tests.unit.serve_api.archives import LIMITS, feed, form, listing, staged

BOUNDARY = b"xxBOUNDARYxx"


def file(path: str, *, field: str = "files", more: str = "") -> str:
    return f'Content-Disposition: form-data; name="{field}"; filename="{path}"{more}'


def field(name: str) -> str:
    return f'Content-Disposition: form-data; name="{name}"'


def taken(tmp_path: Path, body: bytes, step: int = 1 << 16) -> tuple[dict[str, str], dict[str, list[str]]]:
    tree = staged(tmp_path / "staged", LIMITS)
    made = Multipart(tree, BOUNDARY)
    try:
        feed(made, body, step)
    finally:
        tree.close()
    return listing(tree.folder), made.fields


@pytest.mark.parametrize("step", [1, 10, 100_000])
def test_files_and_fields_come_out_of_a_form(tmp_path: Path, step: int) -> None:
    body = form(
        (field("tags"), b"type:dataset"),
        (field("tags"), "題:紅葉".encode()),
        (file("写真/一枚目.png"), b"png\r\n--xxBOUNDARYxy\r\n"),
        (file("bin/run", more="\r\nRaykqi-Mode: 755\r\nContent-Type: text/plain"), b"#!"),
        (file("quote%22d"), b""),
        (field("name"), b"autumn"),
    )

    assert taken(tmp_path, body, step) == (
        {
            "bin": "dir 755",
            "bin/run": "755 #!",
            'quote"d': "644 ",
            "写真": "dir 755",
            "写真/一枚目.png": "644 png\r\n--xxBOUNDARYxy\r\n",
        },
        {"tags": ["type:dataset", "題:紅葉"], "name": ["autumn"], "inputs": []},
    )


@pytest.mark.parametrize(
    ("body", "error", "says"),
    [
        (form((file("../x"), b"x")), UnsafePath, "leads out"),
        (form((file("/x"), b"x")), UnsafePath, "absolute"),
        (form((file(""), b"x")), UnsafePath, "no file"),
        (form((file("a"), b"x"), (file("a"), b"y")), InvalidInput, "comes twice"),
        (form((file("a"), b"x"), (file("a/b"), b"y")), UnsafePath, "no folder"),
        (form((file("a", more="\r\nRaykqi-Mode: rwx"), b"x")), InvalidInput, "octal"),
        (form((field("tag"), b"x")), InvalidInput, "no field 'tag'"),
        (form(("Content-Type: text/plain", b"x")), InvalidInput, "no name"),
        (form((field("name"), b"\xff")), InvalidInput, "UTF-8"),
        (form((field("name"), b"x" * 70_000)), TooLarge, "too long"),
        (form(*[(field("tags"), b"x" * 60_000)] * 20), TooLarge, "too long"),
        (form(*[(field("tags"), b"")] * 10_001), TooLarge, "too many fields"),
        (form((f"X: {'y' * 20_000}", b"x")), InvalidInput, "malformed"),
        (form((file("a"), b"x"))[:-6], InvalidInput, "ends early"),
        (form((file("a"), b"x" * 1000))[:500], InvalidInput, "ends early"),
        (form((file("a"), b"x"), boundary=b"other"), InvalidInput, "malformed"),
        (b"", InvalidInput, "ends early"),
        (form((file("a"), bytes(65 << 20))), TooLarge, "more than"),
    ],
)
def test_what_is_no_form_of_files_is_refused(tmp_path: Path, body: bytes, error: type[RaykqiError], says: str) -> None:
    with pytest.raises(error, match=says):
        taken(tmp_path, body)

    assert [path.name for path in tmp_path.iterdir()] == ["staged"]


@pytest.mark.parametrize("content_type", ["multipart/form-data", f"multipart/form-data; boundary={'x' * 71}"])
def test_a_form_needs_its_boundary(content_type: str) -> None:
    with pytest.raises(InvalidInput, match="boundary"):
        boundary_of(content_type)
