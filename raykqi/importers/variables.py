"""`${NAME}` in a plan file, filled in when it is read.

Commands, `entrypoint`, `args` and `env` are left alone: there `$` is the business of the shell or the program.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from raykqi.importers.places import Places, Where, nearest, quote
from raykqi.importers.yaml_tree import Plain, Tree

__all__ = ["LEFT_ALONE", "fill_in"]

LEFT_ALONE = ("command", "entrypoint", "args", "env")
_VARIABLE = re.compile(r"\$\$\{|\$\{([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def fill_in(tree: Tree, variables: Mapping[str, str], places: Places) -> Tree:
    """The tree with its variables replaced; `$${` stands for `${` itself."""
    filler = _Filler(variables, places)
    if not isinstance(tree, dict):
        return tree
    filled = {key: value if key in LEFT_ALONE else filler.fill(value, (key,)) for key, value in tree.items()}
    for name in variables:
        if name not in filler.used:
            hint = nearest(name, sorted(filler.used)) if filler.used else "The file has no ${…} outside its command."
            places.refuse((), f"the variable {quote(name)} is set, but the file has no ${{{name}}}", hint=hint)
    return filled


class _Filler:
    def __init__(self, variables: Mapping[str, str], places: Places) -> None:
        self.used: set[str] = set()
        self._variables, self._places = variables, places

    def fill(self, value: Tree, where: Where) -> Tree:
        if isinstance(value, dict):
            return {key: self.fill(inner, (*where, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.fill(inner, (*where, index)) for index, inner in enumerate(value)]
        if value is None or "${" not in value:
            return value
        filled = _VARIABLE.sub(lambda match: self._one(match, where), value)
        return Plain(filled) if isinstance(value, Plain) else filled

    def _one(self, match: re.Match[str], where: Where) -> str:
        name = match[1]
        if name is None:
            return "${"
        if name not in self._variables:
            hint = f"Give its value: --set {name}=…, or variables={{{name!r}: …}} in Python."
            if not _NAME.match(name):
                hint = "Write $${…} for a text that is no variable."
            self._places.refuse(where, f"the variable ${{{name}}} has no value", hint=hint)
        self.used.add(name)
        return str(self._variables[name])
