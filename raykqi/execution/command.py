"""From a plan's definition to the words and the environment of one command.

`{inputs.NAME}`, `{outputs.NAME}` and `{params.NAME}` stand for paths and values, in `command`,
`entrypoint`, `args` and `env`. A word of a list stays one word, whatever the value holds. In the text
of a shell (`sh -c TEXT`) a name becomes a quoted variable of the environment, never the value itself:
no value can become a command, and no name needs quotes around it.
"""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from raykqi.domain.order import Order
from raykqi.domain.plan import Definition, Scalar
from raykqi.errors import InvalidInput
from raykqi.execution.launchers.spawning import SYSTEM_PATH

__all__ = ["Names", "base_environment", "command_words", "environment", "fill", "is_shell_text"]

_NAME = re.compile(r"\{(inputs|outputs|params)\.([^{}]+)\}")
_SHELL = re.compile(r"(?:.*/)?(?:sh|bash|dash|ash|zsh|ksh)\Z")
_SHELL_OPTION = re.compile(r"-[a-z]*c\Z")
_VARIABLE = re.compile(r"[^=\x00]+\Z")


@dataclass(frozen=True)
class Names:
    """What `{inputs.…}`, `{outputs.…}` and `{params.…}` stand for, in text."""

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    params: Mapping[str, str]

    @classmethod
    def of(cls, inputs: Mapping[str, str], outputs: Mapping[str, str], params: Mapping[str, Scalar]) -> Names:
        return cls(inputs, outputs, {name: shown(value) for name, value in params.items()})

    def value(self, kind: str, name: str) -> str:
        known: Mapping[str, str] = getattr(self, kind)
        if name not in known:
            there = ", ".join(sorted(known)) or "none"
            raise InvalidInput(f"{{{kind}.{name}}} names nothing", hint=f"The {kind} of this plan: {there}.")
        return known[name]

    def variables(self) -> dict[tuple[str, str], str]:
        """The variable of the environment that holds each; two names that look alike get a number."""
        variables: dict[tuple[str, str], str] = {}
        for kind, word in (("inputs", "INPUT"), ("outputs", "OUTPUT"), ("params", "PARAM")):
            for name in getattr(self, kind):
                plain = f"RAYKQI_{word}_" + re.sub(r"[^A-Za-z0-9]", "_", name).upper()
                variable, number = plain, 2
                while variable in variables.values():
                    variable, number = f"{plain}_{number}", number + 1
                variables[kind, name] = variable
        return variables


def shown(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def command_words(definition: Definition, names: Names) -> tuple[str, ...]:
    """The words of the command, all names filled in."""
    words = definition.command or (*(definition.entrypoint or ()), *(definition.args or ()))
    if not words:
        raise InvalidInput(
            "the plan says no command, and its image cannot be asked for one here",
            hint="Give the plan a `command`, or `entrypoint` and `args`.",
        )
    if is_shell_text(words):
        return (*words[:2], shell_text(words[2], names), *(fill(word, names) for word in words[3:]))
    return tuple(fill(word, names) for word in words)


def is_shell_text(words: Sequence[str]) -> bool:
    return len(words) > 2 and bool(_SHELL.match(words[0]) and _SHELL_OPTION.match(words[1]))


def fill(text: str, names: Names) -> str:
    return _NAME.sub(lambda found: names.value(found[1], found[2]), text)


def shell_text(text: str, names: Names) -> str:
    """Variables in the place of names, quoted as the place needs it."""
    variables = names.variables()
    filled, at, quote = [], 0, ""
    for found in _NAME.finditer(text):
        names.value(found[1], found[2])
        before = text[at : found.start()]
        quote = quote_after(before, quote)
        variable = f"${{{variables[found[1], found[2]]}}}"
        filled += [before, {"": f'"{variable}"', '"': variable, "'": f"'\"{variable}\"'"}[quote]]
        at = found.end()
    return "".join([*filled, text[at:]])


def quote_after(text: str, quote: str) -> str:
    """Which quotation mark is open at the end of `text`."""
    at = 0
    while at < len(text):
        mark = text[at]
        if mark == "\\" and quote != "'":
            at += 1
        elif mark == quote:
            quote = ""
        elif mark in "\"'" and not quote:
            quote = mark
        at += 1
    return quote


def base_environment(given: Mapping[str, str], home: str, temporary: str) -> dict[str, str]:
    """What every command gets; `given` is what this node hands on of its own."""
    return {
        "PATH": SYSTEM_PATH,
        "LANG": "C.UTF-8",
        **given,
        "HOME": home,
        "TMPDIR": temporary,
        "PYTHONUNBUFFERED": "1",
    }


def environment(
    order: Order,
    names: Names,
    *,
    base: Mapping[str, str],
    programs: str = "",
    more: Mapping[str, str] | None = None,
    gpus: Sequence[str] = (),
    progress: str = "",
) -> dict[str, str]:
    """All of it; nothing of the worker's own environment. `programs` is a folder that `PATH` begins with."""
    definition = order.definition
    threads = str(max(1, math.ceil(order.resources.cpu / 1000)))
    variables = {variable: names.value(*of) for of, variable in names.variables().items()}
    merged = {
        **base,
        "OMP_NUM_THREADS": threads,
        **{name: fill(value, names) for name, value in definition.env.items()},
        **(more or {}),
        **order.env,
        **variables,
        "RAYKQI_RUN": order.attempt.run,
        "RAYKQI_ATTEMPT": str(order.attempt.number),
        "RAYKQI_PROGRESS": progress,
        **_server(order),
        "CUDA_VISIBLE_DEVICES": ",".join(gpus),
    }
    if "PATH" not in definition.env and "PATH" not in order.env:
        folders = [programs, os.path.dirname(sys.executable), merged["PATH"]]
        merged["PATH"] = ":".join(folder for folder in folders if folder)
    for name, value in merged.items():
        if not _VARIABLE.match(name) or "\0" in value:
            raise InvalidInput(
                f"{name!r} cannot be a variable of the environment",
                hint="Names have no '=', and neither names nor values a NUL character.",
            )
    return merged


def _server(order: Order) -> dict[str, str]:
    """By which the command finds and may use the server that runs it."""
    if not order.token:
        return {}
    return {"RAYKQI_URL": order.url, "RAYKQI_TOKEN": order.token, "RAYKQI_PROJECT": order.project}
