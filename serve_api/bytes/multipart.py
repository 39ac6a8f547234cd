"""multipart/form-data as a stream: fields are collected, files go straight into a staged tree.

The file name of a part is the path within the data, in UTF-8. A part may give its permission bits in a
header, as in `Raykqi-Mode: 755`. Empty folders and links need a tar.
"""

from __future__ import annotations

import re

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from raykqi.errors import InvalidInput, TooLarge
from serve_api.bytes.staged_tree import StagedTree

__all__ = ["Multipart", "boundary_of"]

FIELD_BYTES = 64 * 1024
FIELDS_BYTES = 1024 * 1024
MOST_FIELDS = 10_000  # empty ones take memory too
HEADER_BYTES = 16 * 1024
FIELDS = ("tags", "name", "inputs")
MODE = 0o644
_MODE = re.compile(rb"0{0,2}[0-7]{1,4}\Z")
# What browsers write for the characters that would end a file name.
ESCAPED = {"%22": '"', "%0D": "\r", "%0A": "\n"}
_ESCAPED = re.compile("|".join(ESCAPED), re.IGNORECASE)


def boundary_of(content_type: str) -> bytes:
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= 70:
        raise InvalidInput(
            f"the content type {content_type[:200]!r} has no boundary of 1 to 70 characters",
            hint="Let your HTTP client make the form.",
        )
    return boundary


class Multipart:
    """`feed` chunks, then `finish`; `fields` has what was sent beside the files."""

    def __init__(self, tree: StagedTree, boundary: bytes) -> None:
        self._tree = tree
        self.fields: dict[str, list[str]] = {name: [] for name in FIELDS}
        self._field = ""
        self._value = bytearray()
        self._values = 0
        self._is_file = self._is_over = False
        self._name = self._text = b""
        self._headers: dict[bytes, bytes] = {}
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._on_header_name,
                "on_header_value": self._on_header_text,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers,
                "on_part_data": self._on_data,
                "on_part_end": self._on_end,
                "on_end": self._on_over,
            },
            max_header_size=HEADER_BYTES,
        )

    def feed(self, data: bytes) -> None:
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise InvalidInput(f"the form is malformed: {error}", hint="Let your HTTP client make the form.") from error

    def finish(self) -> None:
        if not self._is_over:
            raise InvalidInput(
                "the form ends early: its closing boundary is missing",
                hint="Send it again; was the connection cut off?",
            )
        self._tree.finish()

    def _begin(self) -> None:
        self._name = self._text = b""
        self._headers = {}

    def _on_header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_header_text(self, data: bytes, start: int, end: int) -> None:
        self._text += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._name.lower()] = self._text
        self._name = self._text = b""

    def _on_headers(self) -> None:
        disposition, options = parse_options_header(self._headers.get(b"content-disposition"))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if disposition != b"form-data" or not name:
            raise InvalidInput("a part of the form has no name", hint="Let your HTTP client make the form.")
        if b"filename" in options:
            path = _ESCAPED.sub(lambda found: ESCAPED[found[0].upper()], _text(options[b"filename"]))
            self._tree.begin_file(path, self._mode(path))
            self._is_file = True
        elif name not in self.fields:
            raise InvalidInput(f"the form has no field {name[:80]!r}", hint=f"It has {', '.join(FIELDS)}, and files.")
        elif sum(map(len, self.fields.values())) >= MOST_FIELDS:
            raise TooLarge("the form has too many fields", hint=f"At most {MOST_FIELDS} beside the files.")
        else:
            self._field = name

    def _mode(self, path: str) -> int:
        text = self._headers.get(b"raykqi-mode")
        if text is None:
            return MODE
        if not _MODE.match(text):
            raise InvalidInput(f"the mode {text[:20]!r} of {path!r} is no octal number", hint="As in 755.")
        return int(text, 8)

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._tree.write(memoryview(data)[start:end])
            return
        self._value += data[start:end]
        self._values += end - start
        if len(self._value) > FIELD_BYTES or self._values > FIELDS_BYTES:
            raise TooLarge(
                f"the fields of the form are too long, at {self._field!r}",
                hint=f"At most {FIELD_BYTES} bytes a field and {FIELDS_BYTES} in all.",
            )

    def _on_end(self) -> None:
        if self._is_file:
            self._tree.end_file()
            self._is_file = False
            return
        try:
            self.fields[self._field].append(bytes(self._value).decode())
        except UnicodeDecodeError:
            raise InvalidInput(f"the field {self._field!r} is not valid UTF-8", hint="Send it in UTF-8.") from None
        self._value.clear()

    def _on_over(self) -> None:
        self._is_over = True


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
