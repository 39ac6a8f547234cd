"""Glob patterns over the paths of a tree.

`*` and `?` stay within one name, `**` crosses folders, `[a-z]` and `[!a-z]` are sets. A pattern that
matches a folder means everything below it. Matching is case-sensitive and never touches a file system.
"""

from __future__ import annotations

import re

__all__ = ["compile_pattern"]


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """A regular expression whose `fullmatch` says whether a path, or a folder above it, matches."""
    text = pattern.removeprefix("./").strip("/")
    return re.compile(_translate(text) + r"(?:/.*)?", re.DOTALL)


def _translate(text: str) -> str:
    parts: list[str] = []
    at = 0
    while at < len(text):
        if text.startswith("**/", at) and (at == 0 or text[at - 1] == "/"):
            parts.append(r"(?:.*/)?")
            at += 3
        elif text.startswith("**", at):
            parts.append(r".*")
            at += 2
        elif text[at] == "*":
            parts.append(r"[^/]*")
            at += 1
        elif text[at] == "?":
            parts.append(r"[^/]")
            at += 1
        elif text[at] == "[" and (end := text.find("]", at + 2)) > 0:
            parts.append(_character_set(text[at + 1 : end]))
            at = end + 1
        else:
            parts.append(re.escape(text[at]))
            at += 1
    return "".join(parts)


def _character_set(members: str) -> str:
    negated = members[0] == "!"
    escaped = re.sub(r"([\\\[\]^&~|])", r"\\\1", members[1:] if negated else members)
    try:
        re.compile(f"[{escaped}]")
    except re.error:
        return re.escape(f"[{members}]")
    return rf"(?!/)[{'^' if negated else ''}{escaped}]"
