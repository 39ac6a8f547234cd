"""What went wrong, on stderr: one line that says what, one that says what to do, or one JSON object.

Every error of raykqi ends the program with its own exit code; wrong usage with 2, Ctrl-C with 130, a
reader of our output that went away with 141, and whatever nobody foresaw with 1.
"""

from __future__ import annotations

import json
import logging
import shutil
import sys
import textwrap
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import typer

from cli.output import harmless, is_coloured
from raykqi.errors import AmbiguousId, RaykqiError, TargetNotEmpty

__all__ = ["INTERRUPTED", "READER_GONE", "Failures"]

UNFORESEEN, USAGE, INTERRUPTED, READER_GONE = 1, 2, 130, 141
# What Typer raises when a group is called without a command; its message is the help text.
NO_COMMAND = "NoArgsIsHelpError"
# Where the command line has an option for what the library can only describe.
HINTS: dict[type[RaykqiError], str] = {
    TargetNotEmpty: "Name another folder, or give --overwrite to replace files of the same path."
}
ERASE_LINE = "\r\x1b[K"


@dataclass(frozen=True)
class Failures:
    """`debug` adds the traceback."""

    json: bool
    debug: bool

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Show what the library warns of meanwhile, one line each."""
        logger = logging.getLogger("raykqi")
        level, propagate, tidy = logger.level, logger.propagate, _Tidy()
        logger.addHandler(tidy)
        logger.setLevel(logging.DEBUG if self.debug else logging.WARNING)
        logger.propagate = False
        try:
            yield
        finally:
            logger.removeHandler(tidy)
            logger.setLevel(level)
            logger.propagate = propagate

    def report(self, error: BaseException) -> int:
        """Say what went wrong; the exit code."""
        code, facts = _describe(error)
        if self.debug:
            traceback.print_exception(error)
        if self.json:
            print(json.dumps({"error": facts}, ensure_ascii=True), file=sys.stderr)
        elif type(error).__name__ == NO_COMMAND:
            print(facts["message"], file=sys.stderr)
        else:
            _say("error", facts["message"], "red")
            if facts["hint"]:
                _say("hint", facts["hint"], "dim")
        return code


def _describe(error: BaseException) -> tuple[int, dict[str, Any]]:
    code, status, message, hint = UNFORESEEN, 500, "", ""
    if isinstance(error, RaykqiError):
        code, status, message = error.exit_code, error.status, error.message
        hint = HINTS.get(type(error), error.hint)
    elif isinstance(error, typer.TyperException):
        code, status, message, hint = USAGE, 400, _usage_message(error), _usage_hint(error)
    elif isinstance(error, KeyboardInterrupt):
        code, message = INTERRUPTED, "interrupted; nothing is half-stored"
    else:
        message = f"unexpected {type(error).__name__}: {error}"
        hint = "This should not happen: please report it with what --debug shows."
    facts: dict[str, Any] = {"type": _name(error), "message": message, "hint": hint, "status": status, "exit": code}
    if isinstance(error, AmbiguousId):
        facts["candidates"] = list(error.candidates)
    return code, facts


def _name(error: BaseException) -> str:
    if isinstance(error, typer.TyperException):
        return "UsageError"
    return "Interrupted" if isinstance(error, KeyboardInterrupt) else type(error).__name__


def _usage_message(error: typer.TyperException) -> str:
    if type(error).__name__ == NO_COMMAND:
        return error.format_message()
    message = error.format_message().rstrip(".")
    return message[:1].lower() + message[1:]


def _usage_hint(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    return (
        f"`{context.command_path} --help` shows how it is used." if context else "`raykqi --help` lists all commands."
    )


def _say(label: str, text: str, style: str) -> None:
    terminal = sys.stderr.isatty()
    lead = f"{label}: "
    lines = [harmless(line) for line in text.splitlines() if line.strip()] or [""]
    if terminal:
        width = max(40, shutil.get_terminal_size().columns - 1)
        lines = [piece for line in lines for piece in _wrapped(line, width - len(lead))]
    colour = {"red": "31", "yellow": "33", "dim": "2"}[style]
    shown = f"\x1b[{colour}m{lead}\x1b[0m" if is_coloured(sys.stderr) else lead
    print((ERASE_LINE if terminal else "") + shown + f"\n{' ' * len(lead)}".join(lines), file=sys.stderr)


def _wrapped(line: str, width: int) -> list[str]:
    return textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False) or [""]


class _Tidy(logging.Handler):
    """A warning as one line, above a progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            _say("warning" if record.levelno >= logging.WARNING else "debug", record.getMessage(), "yellow")
        except Exception:
            self.handleError(record)
