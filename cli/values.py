"""Sizes, times, durations and ids as people type and read them.

Whatever cannot be read is an `InvalidInput` that names the option and the value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from raykqi.domain.tags import parse_instant
from raykqi.errors import InvalidInput, InvalidTag
from raykqi.rendering.labels import show_size

__all__ = [
    "parse_duration",
    "parse_limit",
    "parse_moment",
    "parse_period",
    "parse_size",
    "short_ids",
    "show_count",
    "show_duration",
    "show_local",
    "show_size",
]

SHORTEST_ID = 18  # the time and the counter in an id: what one controller makes never agrees in so many
POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5}
SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGTP]?)(I?B?)", re.IGNORECASE)
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?\s*(?:ms|[smhdw])\s*)+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[smhdw])")


def parse_size(text: str, option: str) -> int:
    """`500`, `10MB` (a thousand to the K), `10MiB` or `10M` (1,024 to the K)."""
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise InvalidInput(f"{option} {text!r} is not a size", hint="Write it like 500, 10MB, 1.5GiB or 64K.")
    number, unit, ending = found[1], found[2].upper(), found[3].upper()
    base = 1000 if unit and ending == "B" else 1024
    return round(float(number) * float(base) ** POWERS[unit])


def parse_duration(text: str, option: str) -> timedelta:
    """`90s`, `1h30m`, `2d`, `1w`."""
    words = text.strip().lower()
    if not _DURATION.fullmatch(words):
        raise InvalidInput(f"{option} {text!r} is not a duration", hint="Write it like 90s, 1h30m, 2d or 1w.")
    seconds = sum(float(number) * SECONDS[unit] for number, unit in _DURATION_PART.findall(words))
    try:
        return timedelta(seconds=seconds)
    except OverflowError:
        raise InvalidInput(f"{option} {text!r} is too long", hint="Give less than 1,000,000 days.") from None


def parse_moment(text: str, option: str, *, now: datetime | None = None) -> datetime:
    """A date or time, local without an offset; `now`, `today`, `yesterday`; or how long ago: `2h`."""
    now = now or datetime.now(UTC)
    words = text.strip().lower()
    midnight = now.astimezone().replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    named = {"now": now, "today": midnight, "yesterday": midnight - timedelta(days=1)}
    try:
        if words in named:
            return named[words].astimezone(UTC)
        if _DURATION.fullmatch(words):
            return (now - parse_duration(words, option)).astimezone(UTC)
        return parse_instant(text)
    except (InvalidTag, OverflowError, ValueError):
        raise InvalidInput(
            f"{option} {text!r} is not a date or time",
            hint="Write it like 2026-11-20, 2026-11-20T18:30, yesterday, or 2h for two hours ago.",
        ) from None


def parse_period(since: str, until: str, duration: str) -> tuple[datetime | None, datetime | None]:
    """`--since`, `--until` and `--duration`, of which two at most make sense together."""
    now = datetime.now(UTC)
    begin = parse_moment(since, "--since", now=now) if since else None
    end = parse_moment(until, "--until", now=now) if until else None
    if not duration:
        return begin, end
    if begin and end:
        raise InvalidInput("--since, --until and --duration cannot hold all three", hint="Leave one of them out.")
    length = parse_duration(duration, "--duration")
    try:
        return (begin, begin + length) if begin else ((end or now) - length, end)
    except OverflowError:
        raise InvalidInput(f"--duration {duration!r} leads out of the calendar", hint="Give a shorter one.") from None


def parse_limit(text: str, option: str) -> int | None:
    """A number of at least 1, or `all`, which is None."""
    if text.strip().lower() == "all":
        return None
    if not text.strip().isdecimal() or int(text) < 1:
        raise InvalidInput(f"{option} {text!r} is neither a number from 1 on nor 'all'", hint=f"Try {option} 20.")
    return int(text)


def show_count(count: int, one: str, many: str = "") -> str:
    """`1 file`, `1,200 files`."""
    return f"1 {one}" if count == 1 else f"{count:,} {many or one + 's'}"


def show_local(moment: datetime, *, seconds: bool = False) -> str:
    """In the time zone of whoever reads it."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S %z" if seconds else "%Y-%m-%d %H:%M")


def show_duration(seconds: float) -> str:
    """`0:07`, `12:30`, `3:05:00`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def short_ids(ids: Iterable[str]) -> dict[str, str]:
    """Beginnings that tell these ids apart, long enough to mean one thing in the whole workspace."""
    ordered = sorted(set(ids))
    short: dict[str, str] = {}
    for before, id_, after in zip(["", *ordered], ordered, [*ordered[1:], ""], strict=False):
        length = max(SHORTEST_ID, _shared(before, id_) + 1, _shared(id_, after) + 1)
        short[id_] = id_[:length].rstrip("-")
    return short


def _shared(one: str, other: str) -> int:
    pairs = zip(one, other, strict=False)
    return next((count for count, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
