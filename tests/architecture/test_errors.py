"""The exception tree: what its docstring draws is what the classes are."""

from __future__ import annotations

import inspect
import re

from raykqi import errors
from raykqi.errors import RaykqiError

CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if inspect.isclass(value) and issubclass(value, RaykqiError) and value.__module__ == errors.__name__
}
LINE = re.compile(r"^ {4}(?P<indent>[│├└─ ]*)(?P<name>[A-Z]\w+) +(?P<status>\d+) +(?P<exit>\d+)")


def drawn() -> dict[str, tuple[str, int, int]]:
    """Class → (parent, status, exit code), read from the drawing."""
    tree: dict[str, tuple[str, int, int]] = {}
    branch: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := LINE.match(line):
            depth = len(found["indent"]) // 4
            branch[depth:] = [found["name"]]
            tree[found["name"]] = (branch[depth - 1] if depth else "", int(found["status"]), int(found["exit"]))
    return tree


def test_the_drawing_holds_every_error_and_no_other() -> None:
    assert set(drawn()) == set(CLASSES) == set(errors.__all__)


def test_every_error_is_what_the_docstring_draws() -> None:
    defined = {
        name: ("" if error is RaykqiError else error.__mro__[1].__name__, error.status, error.exit_code)
        for name, error in CLASSES.items()
    }
    assert drawn() == defined


def test_each_error_has_a_meaningful_status_and_exit_code() -> None:
    statuses = {name: error.status for name, error in CLASSES.items() if not 400 <= error.status < 600}
    codes = {name: error.exit_code for name, error in CLASSES.items() if not 1 <= error.exit_code < 64}
    assert (statuses, codes) == ({}, {})


def test_a_hint_follows_the_message() -> None:
    assert str(errors.InUse("data 0193 is in use", hint="Wait for run 0194.")) == (
        "data 0193 is in use\nWait for run 0194."
    )
