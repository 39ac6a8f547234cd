"""Results on stdout: JSON that always parses, text that never steers a terminal, failures that are told apart."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import pytest

from cli.output import Output, ReaderGone, harmless, prepare_streams
from raykqi.errors import StorageError


class Unwritable(io.RawIOBase):
    """A file that takes nothing."""

    def __init__(self, error: OSError) -> None:
        self._error = error

    def writable(self) -> bool:
        return True

    def write(self, _: Any) -> int:
        raise self._error


class Sip(io.RawIOBase):
    """A pipe that takes little at a time."""

    def __init__(self) -> None:
        self.taken = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data[:7])
        self.taken += piece
        return len(piece)


def stdout(monkeypatch: pytest.MonkeyPatch, encoding: str = "utf-8") -> io.BytesIO:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    prepare_streams()
    return written


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "euc-jp"])
@pytest.mark.parametrize(
    "value", [[], [{"a": "日本"}, {"a": "😀"}], {"tag": "é:\ud83d x", "n": None}, "名前", [1, 2.5, True]], ids=repr
)
def test_json_parses_back_in_every_encoding(monkeypatch: pytest.MonkeyPatch, encoding: str, value: object) -> None:
    written = stdout(monkeypatch, encoding)

    Output().json(value)
    sys.stdout.flush()

    assert json.loads(written.getvalue().decode(encoding)) == value


def test_a_list_has_one_line_an_item(monkeypatch: pytest.MonkeyPatch) -> None:
    written = stdout(monkeypatch)

    Output().json([{"a": 1}, {"a": 2}])
    sys.stdout.flush()

    assert written.getvalue() == b'[\n  {"a": 1},\n  {"a": 2}\n]\n'


def test_characters_that_the_encoding_lacks_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    written = stdout(monkeypatch, "ascii")

    Output().line("写真")
    sys.stdout.flush()

    assert written.getvalue() == rb"\u5199\u771f" + b"\n"


def test_bytes_and_lines_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    written = stdout(monkeypatch)

    out = Output()
    out.line("first")
    out.bytes([b"\x00\xff", b"\n"])
    out.at_once("last")

    assert written.getvalue() == b"first\n\x00\xff\nlast\n"


def test_an_unbuffered_stdout_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = Sip()
    unbuffered = io.TextIOWrapper(pipe, encoding="utf-8", write_through=True)  # type: ignore[type-var]
    monkeypatch.setattr(sys, "stdout", unbuffered)
    prepare_streams()

    out = Output()
    out.line("x" * 20_000)
    out.bytes([b"y" * 20_000])

    assert pipe.taken == b"x" * 20_000 + b"\n" + b"y" * 20_000


def test_a_reader_that_is_gone_is_told_apart_from_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    for error, expected in ((BrokenPipeError(), ReaderGone), (OSError(28, "No space left on device"), StorageError)):
        raw = Unwritable(error)
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="utf-8", write_through=True))  # type: ignore[type-var]
        with pytest.raises(expected):
            Output().at_once("text")
        raw.close()


def test_what_steers_a_terminal_is_escaped_and_all_else_is_kept() -> None:
    assert harmless("日本\u3000語 é\t\x1b[31m\x7f\u202e\n") == "日本\u3000語 é\\t\\x1b[31m\\x7f\\u202e\\n"
