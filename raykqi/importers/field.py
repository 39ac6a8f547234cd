"""One value of a description together with its place: read as what its key wants, or refused."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from os import PathLike, fspath
from typing import Any, NoReturn

from raykqi.domain.plan import ParamType, Scalar
from raykqi.domain.text import check_text
from raykqi.importers.places import Places, Where, nearest, quote
from raykqi.importers.yaml_tree import Plain

__all__ = ["Field", "parse_scalar", "scalar_type"]

TRUE, FALSE = ("true", "yes", "on"), ("false", "no", "off")
LONGEST_SECONDS = 10 * 366 * 86400.0
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?\Z")
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?\s*(?:ms|[smhd])\s*)+\Z")
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|[smhd])")
SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Field:
    """`value` is plain Python, with unquoted scalars of YAML as `Plain`."""

    def __init__(self, value: Any, where: Where, places: Places) -> None:
        self.value, self.where, self.places = value, where, places

    def refuse(self, message: str, *, hint: str) -> NoReturn:
        self.places.refuse(self.where, message, hint=hint)

    def entries(self, known: Iterable[str], *, what: str) -> dict[str, Field]:
        """The entries of a mapping with these keys and no others; those without a value are left out."""
        known = tuple(known)
        found = self.named(what=what)
        for key, field in found.items():
            if key not in known:
                field.refuse(f"there is no key {quote(key)} in {what}", hint=nearest(key, known))
        return {key: field for key, field in found.items() if field.value is not None}

    def named(self, *, what: str) -> dict[str, Field]:
        """The entries of a mapping whose keys are anyone's."""
        if not isinstance(self.value, Mapping):
            self.refuse(f"{quote(self.value)} is no mapping", hint=f"Write {what} as lines of `key: value`.")
        for key in self.value:
            if not isinstance(key, str):
                self.refuse(f"the key {quote(key)} is no text", hint="Use texts as keys.")
        return {str(key): Field(value, (*self.where, str(key)), self.places) for key, value in self.value.items()}

    def items(self, *, example: str) -> list[Field]:
        if not isinstance(self.value, list | tuple):
            self.refuse(f"{quote(self.value)} is no list", hint=f"Write a list, as in {example}.")
        return [Field(value, (*self.where, index), self.places) for index, value in enumerate(self.value)]

    def text(self, *, what: str = "text") -> str:
        value = self.value
        if isinstance(value, PathLike):
            value = fspath(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = repr(value)
        if isinstance(value, Mapping) and len(value) == 1:
            key, inner = next(iter(value.items()))
            hint = f'YAML took it for a mapping, because of the space after the colon. Write "{key}:{inner}" in quotes.'
            self.refuse(f"{quote({str(key): str(inner)})} is no {what}", hint=hint)
        if not isinstance(value, str):
            self.refuse(f"{quote(value)} is no {what}", hint="Write a text.")
        with self.places.at(*self.where):
            return check_text(str(value), what)

    def texts(self, *, example: str) -> tuple[str, ...]:
        return tuple(item.text() for item in self.items(example=example))

    def flag(self) -> bool:
        if isinstance(self.value, bool):
            return self.value
        if isinstance(self.value, Plain) and self.value.lower() in (*TRUE, *FALSE):
            return self.value.lower() in TRUE
        self.refuse(f"{quote(self.value)} is neither true nor false", hint="Write true or false, without quotes.")
        return None

    def whole(self, least: int, most: int) -> int:
        number = self._parsed("int")
        assert isinstance(number, int)
        if not least <= number <= most:
            self.refuse(f"{number} is not between {least} and {most}", hint="Write a number within these.")
        return number

    def seconds(self) -> float:
        """`30s`, `5m`, `1h30m`, or a number of seconds."""
        text = str(self.value).strip()
        if not isinstance(self.value, bool) and _NUMBER.match(text):
            seconds = float(text)
        elif isinstance(self.value, str) and _DURATION.match(text):
            seconds = sum(float(number) * SECONDS[unit] for number, unit in _DURATION_PART.findall(text))
        else:
            self.refuse(f"{quote(self.value)} is no duration", hint="Write 30s, 5m, 1h30m or a number of seconds.")
        if not 0 <= seconds <= LONGEST_SECONDS:
            self.refuse(f"{quote(self.value)} is not between 0 and 10 years", hint="Write a duration within these.")
        return seconds

    def choice(self, known: Iterable[str]) -> str:
        text = self.text()
        if text not in known:
            self.refuse(f"there is no {quote(text)} here", hint=nearest(text, known))
        return text

    def scalar(self, type_: ParamType) -> Scalar:
        """Exactly this type: a number in quotes is a text."""
        parsed = self._parsed(type_)
        if type(parsed) is int and abs(parsed) >= 2**63:
            self.refuse(f"{quote(self.value)} does not fit in 64 bits", hint="Make it a str.")
        return parsed

    def _parsed(self, type_: ParamType) -> Scalar:
        value, parsed = self.value, None
        if isinstance(value, Plain):
            parsed = parse_scalar(type_, value)
        elif type_ == "float" and isinstance(value, int) and not isinstance(value, bool):
            parsed = float(value) if abs(value) < 2**63 else None
        elif scalar_type(value) == type_:
            parsed = value
        if parsed is None or (isinstance(parsed, float) and not math.isfinite(parsed)):
            self.refuse(f"{quote(self.value)} is no {type_}", hint=_how_to_write(type_, self.value))
        if type_ == "str":
            return self.text()
        return parsed


def parse_scalar(type_: ParamType, text: str) -> Scalar | None:
    """What an unquoted text says as this type; None if it says nothing of the kind."""
    if type_ == "str":
        return str(text)
    if type_ == "bool":
        return text.lower() in TRUE if text.lower() in (*TRUE, *FALSE) else None
    if type_ == "int":
        return int(text) if _WHOLE.match(text) and len(text) < 30 else None
    return float(text) if _NUMBER.match(text) and math.isfinite(float(text)) else None


def scalar_type(value: object) -> ParamType | None:
    """The type of a value whose type is not told."""
    if isinstance(value, Plain):
        if value.lower() in ("true", "false"):
            return "bool"
        return "int" if _WHOLE.match(value) else "float" if _NUMBER.match(value) and not _padded(value) else "str"
    types: dict[type, ParamType] = {str: "str", int: "int", float: "float", bool: "bool"}
    return types.get(type(value))


def _padded(text: str) -> bool:
    digits = text.lstrip("+-")
    return digits.isdecimal() and digits.startswith("0")


def _how_to_write(type_: ParamType, value: object) -> str:
    if type_ == "int" and isinstance(value, str) and _padded(value):
        return f"Leading zeros could mean octal: write {value.lstrip('0') or '0'}, or quote it and use `type: str`."
    if type_ in ("int", "float") and isinstance(value, str) and not isinstance(value, Plain) and _NUMBER.match(value):
        return "Write the number without quotes."
    return {
        "str": "Write a text.",
        "int": "Write a whole number, as in 10.",
        "float": "Write a number, as in 0.1 or 1e-3.",
        "bool": "Write true or false, without quotes.",
    }[type_]
