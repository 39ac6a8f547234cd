"""`{inputs.NAME}`, `{outputs.NAME}` and `{params.NAME}` in what is run: each must mean something."""

from __future__ import annotations

import re

from raykqi.domain.plan import Definition
from raykqi.importers.places import Places, Where, nearest

__all__ = ["check_placeholders"]

# The singular is nobody's syntax and easily written.
_PLACEHOLDER = re.compile(r"(?<!\$)\{(inputs?|outputs?|params?)\.([^{}\s]*)\}")


def check_placeholders(definition: Definition, places: Places) -> None:
    names = {
        "inputs": [mount.name for mount in definition.inputs],
        "outputs": [mount.name for mount in definition.outputs],
        "params": [param.name for param in definition.params],
    }
    for where, text in _texts(definition):
        for found in _PLACEHOLDER.finditer(text):
            kind, name = found[1], found[2]
            if kind not in names:
                places.refuse(where, f"{found[0]} means nothing", hint=f"Did you mean {{{kind}s.{name}}}?")
            if name not in names[kind]:
                places.refuse(where, f"{found[0]}: the plan has no such name", hint=nearest(name, names[kind]))


def _texts(definition: Definition) -> list[tuple[Where, str]]:
    texts: list[tuple[Where, str]] = []
    for key, words in (
        ("command", definition.command),
        ("entrypoint", definition.entrypoint),
        ("args", definition.args),
    ):
        texts += [((key, index), word) for index, word in enumerate(words or ())]
    return texts + [(("env", name), value) for name, value in definition.env.items()]
