"""Plans as plan files: YAML that reads back as the same plan."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from raykqi.domain.plan import Definition, PlanSettings
from raykqi.importers.description import describe
from raykqi.importers.variables import LEFT_ALONE

__all__ = ["render_plan", "write_description"]

WIDTH = 110
# What YAML readers refuse, or take for the end of a line.
_STEERING = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_BLOCK = re.compile(r"[^\s#][^\0-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]*[^\s]\n?\Z")
_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*\Z")


def render_plan(definition: Definition, settings: PlanSettings | None = None, *, source: str = "") -> str:
    """The plan as YAML. `source` is where its code came from; the code itself is not in the file."""
    settings = settings or PlanSettings()
    description = describe(definition, settings)
    if source:
        where = next((place for place, key in enumerate(description) if key == "inputs"), 0)
        entries = [*description.items()]
        description = dict([*entries[:where], ("source", source), *entries[where:]])
    text = write_description(description)
    if definition.code and not source:
        origin = f" from {json.dumps(definition.code.source)}" if definition.code.source else ""
        text = f"# Its code is kept as data {definition.code.data or definition.code.tree}{origin}.\n{text}"
    return text


def write_description(description: Mapping[str, Any], notes: Mapping[str, str] | None = None) -> str:
    """YAML with a comment above each key that has a note."""
    lines: list[str] = []
    for key, value in description.items():
        note = (notes or {}).get(key, "")
        if note:
            lines += ["", *(f"# {line}".rstrip() for line in note.splitlines())]
        lines += _entry(key, value, 0, variables=key not in LEFT_ALONE)
    return "\n".join(lines).strip("\n") + "\n"


def _entry(key: str, value: Any, depth: int, *, variables: bool) -> list[str]:
    space = "  " * depth
    name = key if _BARE.match(key) else _text(key, variables=False)
    if isinstance(value, dict) and value:
        inner = (_entry(str(below), item, depth + 1, variables=variables) for below, item in value.items())
        return [f"{space}{name}:", *(line for lines in inner for line in lines)]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [f"{space}{name}:", *(line for item in value for line in _item(item, depth + 1, variables=variables))]
    if isinstance(value, list) and value:
        flow = f"{space}{name}: [{', '.join(_scalar(item, variables=variables) for item in value)}]"
        if len(flow) <= WIDTH:
            return [flow]
        return [f"{space}{name}:", *(f"{space}  - {_scalar(item, variables=variables)}" for item in value)]
    if isinstance(value, str) and "\n" in value and not variables and _BLOCK.match(value):
        mark = "|" if value.endswith("\n") else "|-"
        return [f"{space}{name}: {mark}", *(f"{space}  {line}" if line else "" for line in value.split("\n"))][
            : None if mark == "|-" else -1
        ]
    return [f"{space}{name}: {_scalar(value, variables=variables)}"]


def _item(entries: Mapping[str, Any], depth: int, *, variables: bool) -> list[str]:
    inner = [line for key, value in entries.items() for line in _entry(key, value, depth + 1, variables=variables)]
    return ["  " * depth + "- " + inner[0].lstrip(), *inner[1:]]


def _scalar(value: Any, *, variables: bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return _text(value, variables=variables) if isinstance(value, str) else "{}" if isinstance(value, dict) else "[]"


def _text(text: str, *, variables: bool) -> str:
    escaped = text.replace("${", "$${") if variables else text
    return _STEERING.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(escaped, ensure_ascii=False))
