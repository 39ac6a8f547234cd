"""The rules that span more than one key of a definition: names, paths, placeholders."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import msgspec

from raykqi.domain.plan import Definition, PlanInput, PlanOutput
from raykqi.importers.paths import check_disjoint, check_path, derive_names
from raykqi.importers.placeholders import check_placeholders
from raykqi.importers.places import Places, Where, quote

__all__ = ["check_definition"]

NAME_CHARS = 200
MOST_MOUNTS = 200


def check_definition(definition: Definition, places: Places) -> Definition:
    """The definition with clean paths and a name for everything."""
    if not definition.inputs:
        places.refuse(("inputs",), "the plan has no inputs", hint="Name at least one: it is what makes the plan run.")
    for kind, count in (("inputs", len(definition.inputs)), ("outputs", len(definition.outputs))):
        if count > MOST_MOUNTS:
            hint = "Let one input take many data (take: all), and one output hold many folders."
            places.refuse((kind,), f"{count:,} are more than {MOST_MOUNTS}", hint=hint)
    for index, wanted in enumerate(definition.inputs):
        if not (wanted.tags or wanted.id or wanted.timestamp):
            where = ("inputs", index, "tags")
            places.refuse(where, "the input has no tags", hint='Add what its data must have, as in ["type:dataset"].')
    inputs, outputs = _laid_out(definition, places)
    _check_names("params", [param.name for param in definition.params], places)
    if definition.function:
        for kind, paths in (("inputs", [each.path for each in inputs]), ("outputs", [each.path for each in outputs])):
            for index, path in enumerate(paths):
                if path:
                    hint = "Remove `path` and give the `name` of the parameter."
                    places.refuse((kind, index, "path"), "a function is told its paths as arguments", hint=hint)
        _check_parameters(inputs, outputs, definition, places)
    for param in definition.params:
        if param.value is not None and param.choices and param.value not in param.choices:
            hint = f"It may be {', '.join(str(choice) for choice in param.choices)}."
            message = f"{quote(param.value)} is not among the choices"
            places.refuse(("params", param.name, "default"), message, hint=hint)
    checked = msgspec.structs.replace(definition, inputs=inputs, outputs=outputs)
    check_placeholders(checked, places)
    return checked


def _laid_out(definition: Definition, places: Places) -> tuple[tuple[PlanInput, ...], tuple[PlanOutput, ...]]:
    kinds: list[tuple[str, str, Sequence[PlanInput | PlanOutput]]] = [
        ("inputs", "/in", definition.inputs),
        ("outputs", "/out", definition.outputs),
    ]
    laid: dict[str, list[tuple[str, str]]] = {}
    used: list[tuple[str, Where]] = []
    for kind, root, mounts in kinds:
        paths = [
            check_path(mount.path, places, (kind, index, "path")) if mount.path else ""
            for index, mount in enumerate(mounts)
        ]
        names = _names(kind, [mount.name for mount in mounts], paths, places)
        if not definition.function:
            paths = [path or f"{root}/{name}" for path, name in zip(paths, names, strict=True)]
        laid[kind] = list(zip(names, paths, strict=True))
        used += [(path, (kind, index, "path")) for index, path in enumerate(paths)]
    check_disjoint(used, places)
    inputs = [
        msgspec.structs.replace(mount, name=name, path=path)
        for mount, (name, path) in zip(definition.inputs, laid["inputs"], strict=True)
    ]
    outputs = [
        msgspec.structs.replace(mount, name=name, path=path)
        for mount, (name, path) in zip(definition.outputs, laid["outputs"], strict=True)
    ]
    return tuple(inputs), tuple(outputs)


def _names(kind: str, given: list[str], paths: list[str], places: Places) -> list[str]:
    for index, (name, path) in enumerate(zip(given, paths, strict=True)):
        if not name and not path:
            hint = "Add a path, as in /in/dataset, or a name."
            places.refuse((kind, index), "it has neither path nor name", hint=hint)
    _check_names(kind, given, places)
    unnamed = [path for name, path in zip(given, paths, strict=True) if not name]
    derived = iter(derive_names(unnamed, [name for name in given if name]))
    return [name or next(derived) for name in given]


def _check_names(kind: str, names: Sequence[str], places: Places) -> None:
    """Identifiers that differ, even where case does not count: as variables of the environment they are upper case."""
    seen: dict[str, str] = {}
    for index, name in enumerate(names):
        if not name:
            continue
        where: Where = (kind, name) if kind == "params" else (kind, index, "name")
        if not name.isidentifier() or len(name) > NAME_CHARS:
            hint = "Use letters, digits and '_', and no digit first."
            places.refuse(where, f"{quote(name)} cannot be used in {{{kind}.…}} and in code", hint=hint)
        if unicodedata.normalize("NFKC", name) != name:
            # Python reads names in this form; any other would never meet its parameter.
            hint = f"Write it as {quote(unicodedata.normalize('NFKC', name))}."
            places.refuse(where, f"the name {quote(name)} has another form in code", hint=hint)
        if name.upper() in seen:
            other = seen[name.upper()]
            what = "is there twice" if other == name else f"differs from {quote(other)} only by case"
            places.refuse(where, f"the name {quote(name)} {what}", hint="Give each a name of its own.")
        seen[name.upper()] = name


def _check_parameters(
    inputs: Sequence[PlanInput], outputs: Sequence[PlanOutput], definition: Definition, places: Places
) -> None:
    """A function gets all of them by name."""
    kinds = {
        "inputs": [mount.name for mount in inputs],
        "outputs": [mount.name for mount in outputs],
        "params": [param.name for param in definition.params],
    }
    seen: dict[str, str] = {}
    for kind, names in kinds.items():
        for name in names:
            if name in seen:
                hint = "The function has one parameter of a name: rename one of them."
                places.refuse((kind,), f"{quote(name)} is among the {seen[name]} too", hint=hint)
            seen[name] = kind
