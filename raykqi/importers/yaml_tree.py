"""YAML as a tree of values that keep what was written and on which line, and nothing clever.

Unquoted scalars stay the text they are (`Plain`): which type is meant is for the key to say, so that
`no`, `010`, `10:30` and `2026-01-01` never turn into something else. Aliases, YAML tags, duplicate keys
and several documents are refused, and so is anything too large or too deep to be a plan.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from raykqi.errors import InvalidInput
from raykqi.importers.places import Places, Where, quote

__all__ = ["Plain", "Tree", "decode", "read_tree"]

MOST_BYTES = 4 * 2**20
MOST_NODES = 50_000
DEEPEST = 20
NULLS = ("", "~", "null", "Null", "NULL")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\x1f\x8b": "gzip", b"PK\x03\x04": "a zip archive"}

Tree = dict[str, Any] | list[Any] | str | None


class Plain(str):
    """A scalar without quotes: a text, or a number or truth value, if the key wants one."""

    __slots__ = ()


def decode(content: bytes, source: str) -> str:
    """The text of a file, if it can be a plan file at all."""
    if len(content) > MOST_BYTES:
        raise InvalidInput(
            f"{source}: {len(content):,} bytes are too many for a plan file",
            hint=f"It may have {MOST_BYTES:,}. Push large content as data and let the plan take it as an input.",
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        kind = next((f": it is {name}" for mark, name in MARKS.items() if content.startswith(mark)), "")
        raise InvalidInput(
            f"{source}:{line}: byte 0x{content[error.start]:02x} is not UTF-8{kind}",
            hint="Save the plan file as UTF-8 text.",
        ) from None


def read_tree(text: str, source: str) -> tuple[Tree, dict[Where, int]]:
    """The one document of the text, and the line of each key and item."""
    if len(text) > MOST_BYTES:
        raise InvalidInput(f"{source}: {len(text):,} characters are too many for a plan file", hint="Shorten it.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"{source}: it holds half a character", hint="Save the plan file as UTF-8 text.") from None
    grower = _Grower(source)
    try:
        for event in _events(text):
            grower.take(event)
    except yaml.YAMLError as error:
        raise _told(error, text, source) from None
    return grower.root, grower.lines


def _events(text: str) -> Iterator[Any]:
    loader = _LOADER(text)
    try:
        while loader.check_event():
            yield loader.get_event()
    finally:
        loader.dispose()


class _Grower:
    """Builds the tree event by event with a stack of its own, so that depth is ours to limit."""

    def __init__(self, source: str) -> None:
        self.root: Tree = None
        self.lines: dict[Where, int] = {}
        self._places = Places(source, self.lines)
        self._documents = self._nodes = 0
        self._open: list[dict[str, Any] | list[Any]] = []
        self._where: list[str | int] = []
        self._key: str | None = None

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._refuse(event, "a second document begins", "Keep one plan a file.")
        elif isinstance(event, yaml.AliasEvent):
            self._refuse(
                event, f"the alias *{event.anchor} repeats another part", "Write the part out: aliases are not read."
            )
        elif isinstance(event, yaml.NodeEvent):
            self._node(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()
            if self._where:
                self._where.pop()

    def _node(self, event: Any) -> None:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            self._refuse(event, f"there are more than {MOST_NODES:,} values", "No plan needs so many.")
        if event.tag not in (None, "!"):
            self._refuse(event, f"{quote(event.tag)} is a YAML tag", "Remove it: the type follows from the key.")
        parent = self._open[-1] if self._open else None
        if isinstance(parent, dict) and self._key is None:
            self._take_key(event, parent)
            return
        value: Any
        if isinstance(event, yaml.ScalarEvent):
            value = event.value
            if not event.style:
                value = None if value in NULLS else Plain(value)
        else:
            value = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._place(event, parent, value)

    def _take_key(self, event: Any, parent: dict[str, Any]) -> None:
        if not isinstance(event, yaml.ScalarEvent):
            hint = "Keys are texts. If a placeholder such as {inputs.NAME} is meant, put the text in quotes."
            self._refuse(event, "a mapping or a list is used as a key", hint)
        if event.value in parent:
            first = self.lines[(*self._where, event.value)]
            self._refuse(event, f"the key {quote(event.value)} is here again, it was on line {first}", "Keep one.")
        self.lines[(*self._where, event.value)] = event.start_mark.line + 1
        self._key = event.value

    def _place(self, event: Any, parent: dict[str, Any] | list[Any] | None, value: Any) -> None:
        step: str | int | None = None
        if isinstance(parent, dict) and self._key is not None:
            step, self._key = self._key, None
            parent[step] = value
        elif isinstance(parent, list):
            step = len(parent)
            parent.append(value)
        else:
            self.root = value
        path: Where = (*self._where,) if step is None else (*self._where, step)
        self.lines.setdefault(path, event.start_mark.line + 1)
        if isinstance(value, dict | list):
            if len(self._open) >= DEEPEST:
                self._refuse(event, f"it is nested more than {DEEPEST} deep", "No plan needs so many levels.")
            self._open.append(value)
            if step is not None:
                self._where.append(step)

    def _refuse(self, event: Any, message: str, hint: str) -> None:
        raise InvalidInput(f"{self._places.source}:{event.start_mark.line + 1}: {message}", hint=hint)


def _told(error: yaml.YAMLError, text: str, source: str) -> InvalidInput:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        reason = str(getattr(error, "reason", "") or error).splitlines()[0]
        return InvalidInput(f"{source}: not YAML: {reason}", hint="Remove what is no text from the file.")
    lines = text.splitlines()
    shown = lines[mark.line] if mark.line < len(lines) else ""
    if "\t" in shown[: len(shown) - len(shown.lstrip())]:
        return InvalidInput(f"{source}:{mark.line + 1}: a tab indents this line", hint="Indent with spaces.")
    problem = getattr(error, "problem", None) or "it cannot be read"
    return InvalidInput(
        f"{source}:{mark.line + 1}: not YAML: {problem}: {quote(shown.strip())}",
        hint="Look at the indentation, and put texts with `: `, `#`, `{`, `*` or `%` in quotes.",
    )
