"""Names in commands, and the environment of user code."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raykqi.domain.plan import Definition
from raykqi.errors import InvalidInput
from raykqi.execution.command import Names, command_words, fill, shell_text

NAMES = Names.of({"train-set": "/in/a b"}, {"model": "/out"}, {"rate": 0.5, "fast": True, "text": "a 'b'; $c"})


def test_a_word_of_a_list_stays_one_word() -> None:
    definition = Definition(inputs=(), command=("train", "--in={inputs.train-set}", "{params.text}"))

    assert command_words(definition, NAMES) == ("train", "--in=/in/a b", "a 'b'; $c")


def test_entrypoint_and_args_make_a_command() -> None:
    definition = Definition(inputs=(), image="a:1", entrypoint=("train",), args=("{params.rate}", "{params.fast}"))

    assert command_words(definition, NAMES) == ("train", "0.5", "true")


def test_braces_of_other_kinds_are_left_alone() -> None:
    assert fill("{} {a.b} ${x} {inputs} {params.rate}", NAMES) == "{} {a.b} ${x} {inputs} 0.5"


def test_a_name_that_is_none_is_refused_with_those_that_are() -> None:
    with pytest.raises(InvalidInput) as refused:
        fill("{params.rat}", NAMES)

    assert (refused.value.message, refused.value.hint) == (
        "{params.rat} names nothing",
        "The params of this plan: fast, rate, text.",
    )


def test_names_in_shell_text_become_quoted_variables() -> None:
    text = "run {params.text} \"in {inputs.train-set}\" 'x{outputs.model}' \\' {params.rate}"

    assert shell_text(text, NAMES) == (
        'run "${RAYKQI_PARAM_TEXT}" "in ${RAYKQI_INPUT_TRAIN_SET}" '
        "'x'\"${RAYKQI_OUTPUT_MODEL}\"'' \\' \"${RAYKQI_PARAM_RATE}\""
    )


def test_names_that_look_alike_have_variables_of_their_own() -> None:
    names = Names.of({"a-b": "1", "a_b": "2", "データ": "3", "モデル": "4"}, {}, {})

    assert sorted(names.variables().values()) == [
        "RAYKQI_INPUT_A_B",
        "RAYKQI_INPUT_A_B_2",
        "RAYKQI_INPUT____",
        "RAYKQI_INPUT_____2",
    ]


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=30))
def test_no_value_can_leave_its_place_in_shell_text(value: str) -> None:
    names = Names.of({}, {}, {"x": value})
    text = shell_text("printf '%s\\0' {params.x} \"{params.x}\" '{params.x}'", names)

    printed = subprocess.run(
        ["/bin/sh", "-c", text], env={"RAYKQI_PARAM_X": value}, capture_output=True, check=True
    ).stdout

    assert printed.split(b"\0") == [value.encode()] * 3 + [b""]


def test_shell_text_is_told_from_other_commands() -> None:
    words = ("bash", "-ec", "echo {params.text}")

    shell = command_words(Definition(inputs=(), command=words), NAMES)
    other = command_words(Definition(inputs=(), command=("ssh", "-c", "{params.text}")), NAMES)

    assert shell == ("bash", "-ec", 'echo "${RAYKQI_PARAM_TEXT}"')
    assert shlex.join(other) == "ssh -c 'a '\"'\"'b'\"'\"'; $c'"
