"""Tags: `key:value` pairs, what users may write and what they may ask for.

The key ends at the first `:`; everything after it is the value. Space around either is dropped.
`raykqi#…` tags are computed by the system, never stored and never set; `knit#…` is another spelling.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from raykqi.errors import InvalidQuery, InvalidTag

__all__ = [
    "SYSTEM_ID",
    "SYSTEM_TIMESTAMP",
    "SYSTEM_TRANSIENT",
    "Tag",
    "check_key",
    "check_tags",
    "instant_of",
    "parse_instant",
    "parse_query_tag",
    "parse_tag",
    "parse_tags",
    "show_instant",
]

KEY_CHARS = 1024
VALUE_BYTES = 1024 * 1024
SYSTEM_ID = "raykqi#id"
SYSTEM_TIMESTAMP = "raykqi#timestamp"
SYSTEM_TRANSIENT = "raykqi#transient"
TRANSIENT_VALUES = ("processing", "failed", "purged")
_SYSTEM_PREFIX = "raykqi#"
_OTHER_SPELLING = "knit#"


class Tag(NamedTuple):
    key: str
    value: str

    def __str__(self) -> str:
        return f"{self.key}:{self.value}"

    @property
    def is_system(self) -> bool:
        return self.key.startswith(_SYSTEM_PREFIX)


def parse_tag(text: str) -> Tag:
    """A tag that a user may set."""
    tag = _split(text)
    if tag.is_system:
        raise InvalidTag(
            f"tag {_quote(text)} begins with {_SYSTEM_PREFIX!r}, which only the system sets",
            hint="Choose a key without `raykqi#` or `knit#`.",
        )
    if tag.key.startswith("!"):
        raise InvalidTag(
            f"tag {_quote(text)} begins with '!', which means «without» where one asks for tags",
            hint="Choose a key that begins otherwise.",
        )
    return tag


def check_tags(texts: Iterable[str]) -> Iterable[str]:
    """Several texts, not one, whose letters would be taken for tags, nor anything else."""
    listed = [texts] if isinstance(texts, str) else list(texts)
    if isinstance(texts, str) or any(not isinstance(text, str) for text in listed):
        wrong = next((text for text in listed if not isinstance(text, str)), texts)
        raise InvalidTag(f"{wrong!r} is no list of tags", hint='Give texts, as in ["type:model", "stage:prod"].')
    return listed


def parse_tags(texts: Iterable[str]) -> tuple[Tag, ...]:
    """Tags that a user may set: a set, in sorted order."""
    texts = check_tags(texts)
    return tuple(sorted({parse_tag(text) for text in texts}))


def parse_query_tag(text: str) -> Tag:
    """A tag that a user may ask for: their own, or one of the system's."""
    tag = _split(text)
    if not tag.is_system:
        return tag
    if tag.key == SYSTEM_TIMESTAMP:
        parse_instant(tag.value)
    elif tag.key == SYSTEM_TRANSIENT:
        if tag.value not in TRANSIENT_VALUES:
            raise InvalidTag(
                f"{_quote(text)}: {SYSTEM_TRANSIENT} is never {tag.value!r}",
                hint=f"It is one of {', '.join(TRANSIENT_VALUES)}.",
            )
    elif tag.key != SYSTEM_ID:
        raise InvalidTag(
            f"there is no system tag {_quote(tag.key)}",
            hint=f"System tags are {SYSTEM_ID}, {SYSTEM_TIMESTAMP} and {SYSTEM_TRANSIENT}.",
        )
    return tag


def check_key(text: str) -> str:
    """A key alone, as for `--remove-key`."""
    return parse_tag(f"{text}:").key if ":" not in text else _refuse_colon(text)


def show_instant(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, as `raykqi#timestamp` shows it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def parse_instant(text: str) -> datetime:
    """Dates and times as people write them; without an offset they are in local time."""
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidTag(
            f"{_quote(text)} is not a date or time",
            hint="Write it like 2026-11-20, 2026-11-20T18:30:00 or 2026-11-20T18:30:00.123+09:00.",
        ) from None


def instant_of(moment: datetime | str | None) -> datetime | None:
    """A moment as callers give it; without an offset it is in local time."""
    if isinstance(moment, str):
        return parse_instant(moment)
    try:
        return moment.astimezone(UTC) if moment else None
    except (ValueError, OverflowError):
        raise InvalidQuery(f"{moment} is beyond the calendar", hint="Leave the limit out.") from None


def _split(text: str) -> Tag:
    key, colon, value = text.partition(":")
    key, value = key.strip(), value.strip()
    if not colon:
        raise InvalidTag(f"tag {_quote(text)} has no ':'", hint="Write tags as key:value, for example type:dataset.")
    if not key:
        raise InvalidTag(f"tag {_quote(text)} has no key", hint="Write tags as key:value, for example type:dataset.")
    if any(c in key for c in "\0\n\r"):
        raise InvalidTag(f"the key of tag {_quote(text)} holds a line break or NUL", hint="Use a key of one line.")
    if "\0" in value:
        raise InvalidTag(f"the value of tag {_quote(text)} holds NUL", hint="Remove the NUL character.")
    if len(key) > KEY_CHARS:
        raise InvalidTag(
            f"the key of tag {_quote(text)} has {len(key)} characters, more than {KEY_CHARS}",
            hint="Put long text into the value.",
        )
    try:
        size = len(value.encode())
        key.encode()
    except UnicodeEncodeError:
        raise InvalidTag(f"tag {_quote(text)} is not valid Unicode", hint="Write the tag in UTF-8.") from None
    if size > VALUE_BYTES:
        raise InvalidTag(
            f"the value of tag {_quote(text)} has {size} bytes, more than {VALUE_BYTES}",
            hint="Push long text as data and tag that.",
        )
    if key.startswith(_OTHER_SPELLING):
        key = _SYSTEM_PREFIX + key.removeprefix(_OTHER_SPELLING)
    return Tag(key, value)


def _refuse_colon(text: str) -> str:
    raise InvalidTag(f"{_quote(text)} is a tag, not a key", hint="Give the part before the first ':' alone.")


def _quote(text: str) -> str:
    shown = text if len(text) <= 60 else text[:57] + "…"
    return repr(shown)
