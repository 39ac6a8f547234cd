"""Every error becomes a message, a hint and an exit code, for people and for scripts."""

from __future__ import annotations

import inspect
import json
import logging

import pytest

from cli.failures import Failures
from raykqi import errors
from raykqi.errors import AmbiguousId, RaykqiError, TargetNotEmpty

CLASSES = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, RaykqiError) and value is not TargetNotEmpty
]
FOR_PEOPLE = Failures(json=False, debug=False)
FOR_SCRIPTS = Failures(json=True, debug=False)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_is_told_to_people_and_to_scripts(
    kind: type[RaykqiError], capsys: pytest.CaptureFixture[str]
) -> None:
    error = kind("data 0193 is gone", hint="Look elsewhere.")

    assert FOR_PEOPLE.report(error) == kind.exit_code
    assert capsys.readouterr() == ("", "error: data 0193 is gone\nhint: Look elsewhere.\n")

    assert FOR_SCRIPTS.report(error) == kind.exit_code
    out, err = capsys.readouterr()
    facts = json.loads(err)["error"]
    facts.pop("candidates", None)
    assert out == ""
    assert facts == {
        "type": kind.__name__,
        "message": "data 0193 is gone",
        "hint": "Look elsewhere.",
        "status": kind.status,
        "exit": kind.exit_code,
    }


def test_candidates_are_a_list_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    FOR_SCRIPTS.report(AmbiguousId("'01' begins several ids", candidates=("0193", "0194")))

    assert json.loads(capsys.readouterr().err)["error"]["candidates"] == ["0193", "0194"]


def test_a_hint_names_the_option_where_there_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert FOR_PEOPLE.report(TargetNotEmpty("there is not empty", hint="Allow it.")) == 4
    assert "give --overwrite" in capsys.readouterr().err


def test_an_error_without_a_hint_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    FOR_PEOPLE.report(RaykqiError("it broke"))
    assert capsys.readouterr().err == "error: it broke\n"


def test_a_message_never_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    FOR_PEOPLE.report(RaykqiError("file 'a\x1b[2Jb' \u202eis gone"))
    assert capsys.readouterr().err == "error: file 'a\\x1b[2Jb' \\u202eis gone\n"


def test_an_interruption_ends_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert FOR_PEOPLE.report(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "error: interrupted; nothing is half-stored\n"


def test_what_nobody_foresaw_is_one_line_and_a_traceback_only_on_demand(capsys: pytest.CaptureFixture[str]) -> None:
    error = ZeroDivisionError("division by zero")

    assert FOR_PEOPLE.report(error) == 1
    first, hint = capsys.readouterr().err.splitlines()
    assert first == "error: unexpected ZeroDivisionError: division by zero"
    assert "--debug" in hint

    assert Failures(json=False, debug=True).report(error) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err.splitlines()[0]


def test_warnings_of_the_library_are_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("raykqi.catalog.index")

    with FOR_PEOPLE.listening():
        logger.warning("the index is %s", "damaged")
        logger.info("nobody asked")
    logger.info("nobody listens")

    assert capsys.readouterr().err == "warning: the index is damaged\n"
    assert logging.getLogger("raykqi").propagate is True
