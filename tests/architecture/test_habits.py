"""Habits of the source: small files, told names, module docstrings, nothing of the machine it was written on."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.architecture.source import ROOT, modules, parsed, tracked_files

MOST_LINES = 400
BANNED_STEMS = {"utils", "util", "helpers", "helper", "common", "manager", "misc", "base2"}
BANNED_IN_CLASSES = re.compile(r"(Utils?|Helpers?|Common|Manager)$")

# The brackets keep each pattern from finding itself.
LEAKS = re.compile(
    r"/wor[k]/|/far[m]/|/roo[t]/|farm-[sb]"
    r"|pypi\.or[g]|pythonhoste[d]|registry\.npmj[s]|deb\.debian\.or[g]",
    re.IGNORECASE,
)
ISSUE_NUMBERS = re.compile(r"\b(?:issue|ticket|pull request|PR|GH)[ -]?#\d+")


def python_files() -> list[Path]:
    return [path for path in tracked_files() if path.suffix == ".py"]


def test_no_file_holds_two_ideas() -> None:
    long = {str(path.relative_to(ROOT)): lines for path in python_files() if (lines := line_count(path)) > MOST_LINES}
    assert long == {}


def test_no_file_or_class_has_a_name_that_says_nothing() -> None:
    files = [str(path.relative_to(ROOT)) for path in python_files() if BANNED_STEMS & {path.stem, path.parent.name}]
    classes = [
        f"{path}:{node.lineno} {node.name}"
        for path in modules()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ClassDef) and BANNED_IN_CLASSES.search(node.name)
    ]
    assert files == []
    assert classes == []


def test_every_module_says_what_it_is_for() -> None:
    silent = {str(path) for path in modules() if parsed(path).body and not ast.get_docstring(parsed(path))}
    assert silent == set()


# Pauses between attempts, where the thing waited for cannot call back: a server that fails, a lock of
# another process that has to be given up after a while, an object on storage without notifications.
PAUSES = {
    "raykqi/storage/retry.py",
    "raykqi/journal/filelock.py",
    "raykqi/journal/lease.py",
    "raykqi/journal/ownerobject.py",
    "raykqi/maintenance/turn.py",
}


def test_nothing_sleeps_to_synchronise() -> None:
    sleepers = {
        str(path)
        for path in modules()
        if path.parts[0] in {"raykqi", "cli"}
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"time.sleep", "sleep"}
    }
    assert sleepers <= PAUSES


def test_the_repository_speaks_of_the_product_alone() -> None:
    found = []
    for path in tracked_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(ROOT)}: {match[0]}"
            for pattern in (LEAKS, ISSUE_NUMBERS)
            for match in pattern.finditer(text)
        ]
    assert found == []


def test_constraints_are_names_and_versions_only() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+", line)] == []
    assert len(lines) > 50


def line_count(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())
