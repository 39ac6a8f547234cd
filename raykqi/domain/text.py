"""Text that users give beside tags: reasons, names. What may be stored and asked for, and what is refused."""

from __future__ import annotations

from raykqi.errors import InvalidInput

__all__ = ["check_name", "check_text"]

NAME_CHARS = 1024


def check_text(text: str, what: str) -> str:
    """The text itself, if it can be written down."""
    if "\0" in text:
        raise InvalidInput(f"{what} {_quote(text)} holds NUL", hint="Remove the NUL character.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"{what} {_quote(text)} is not valid Unicode", hint="Write it in UTF-8.") from None
    return text


def check_name(text: str, what: str) -> str:
    """One line that is not empty, without the space around it."""
    name = check_text(text, what).strip()
    if not name or len(name.splitlines()) > 1 or len(name) > NAME_CHARS:
        hint = f"Give one line of 1 to {NAME_CHARS} characters."
        raise InvalidInput(f"{what} {_quote(text)} is not a name", hint=hint)
    return name


def _quote(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "…")
