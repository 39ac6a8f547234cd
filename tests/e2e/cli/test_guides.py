"""The commands that the guides show are commands of the program, with arguments that it takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from cli.app import app
from tests.architecture.source import ROOT

GUIDES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"]
ENDS = ("|", "&&", ";", ">", "#", "…")


def commands(guide: Path) -> Iterator[list[str]]:
    """The words after each `raykqi` of what is typed in it."""
    for line in re.findall(r"^\$ (.*raykqi .*)$", guide.read_text(encoding="utf-8"), re.MULTILINE):
        words: list[str] | None = None
        for word in shlex.split(re.sub(r"(?<=\w);", " ;", line), comments=True):
            if word in ENDS and words is not None:
                yield words
                words = None
            elif words is not None:
                words.append(word)
            elif word == "raykqi":
                words = []
        if words is not None:
            yield words


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_what_the_guides_type_is_taken(guide: Path) -> None:
    for words in commands(guide):
        found: Any = get_command(app)
        left = words[2:] if words[:1] == ["-w"] else list(words)
        while left and hasattr(found, "commands") and (inner := found.get_command(None, left[0])):
            found, left = inner, left[1:]
        assert not hasattr(found, "commands") or not left, f"no such command: {words}"
        if left:
            found.make_context(words[0], left)  # refuses what it does not take
