"""The params of a plan: their types, what they may be, and the values people give when they apply it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from raykqi.domain.plan import Param, ParamType, Scalar
from raykqi.errors import InvalidInput
from raykqi.importers.draft import Draft
from raykqi.importers.field import Field, parse_scalar, scalar_type
from raykqi.importers.places import Places, nearest, quote
from raykqi.importers.yaml_tree import Plain

__all__ = ["TYPES", "read_param", "read_params", "ready", "with_params"]

TYPES: tuple[ParamType, ...] = ("str", "int", "float", "bool")
OTHER_SPELLINGS: dict[str, ParamType] = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}


def read_params(field: Field) -> tuple[Param, ...]:
    return tuple(read_param(name, entry) for name, entry in field.named(what="params").items())


def read_param(name: str, field: Field) -> Param:
    """`epochs: 10`, or a mapping with `type`, `default`, `choices`, `required`."""
    if not isinstance(field.value, Mapping):
        return Param(name, *_typed(field, _type_of(field)))
    entries = field.entries(("type", "default", "choices", "required"), what="a param")
    choices = entries["choices"].items(example="[vgg11, vgg16]") if "choices" in entries else []
    if "choices" in entries and not choices:
        entries["choices"].refuse("there is nothing to choose from", hint="Leave `choices` out, or list the values.")
    told = [entries["default"]] if "default" in entries else choices[:1]
    if "type" in entries:
        type_ = _read_type(entries["type"])
    elif told:
        type_ = _type_of(told[0])
    else:
        type_ = "str"
    value = entries["default"].scalar(type_) if "default" in entries else None
    if "required" in entries and entries["required"].flag() and value is not None:
        entries["required"].refuse("a required param has no default", hint="Remove `default` or `required`.")
    if "required" in entries and not entries["required"].flag() and value is None:
        entries["required"].refuse("a param that is not required needs a default", hint="Add `default: …`.")
    return Param(name, type_, value, tuple(choice.scalar(type_) for choice in choices))


def with_params(draft: Draft, values: Mapping[str, object]) -> Draft:
    """The draft with these values. A text is read as the type of its param, as from a command line."""
    params = {param.name: param for param in draft.definition.params}
    for name, value in values.items():
        if name not in params:
            raise InvalidInput(f"the plan has no param {quote(name)}", hint=nearest(name, params))
        params[name] = _given(params[name], value)
    definition = msgspec.structs.replace(draft.definition, params=tuple(params.values()))
    return msgspec.structs.replace(draft, definition=definition)


def ready(draft: Draft, values: Mapping[str, object] | None = None) -> Draft:
    """What a workspace can take: with a value for every param."""
    draft = with_params(draft, values or {})
    if draft.missing:
        options = " ".join(f"--param {name}=…" for name in draft.missing)
        raise InvalidInput(
            f"{draft.origin or 'the plan'}: no value for {', '.join(draft.missing)}",
            hint=f"Give it: {options}, or params={{{draft.missing[0]!r}: …}} in Python.",
        )
    return draft


def _given(param: Param, value: object) -> Param:
    if isinstance(value, str) and param.type != "str":
        parsed = parse_scalar(param.type, value.strip())
        value = Plain(value) if parsed is None else parsed
    field = Field(value, ("params", param.name), Places())
    scalar = field.scalar(param.type)
    if param.choices and scalar not in param.choices:
        field.refuse(f"{quote(scalar)} is not among its choices", hint=_choices(param.choices))
    return msgspec.structs.replace(param, value=scalar)


def _choices(choices: tuple[Scalar, ...]) -> str:
    return f"It may be {', '.join(str(choice) for choice in choices)}."


def _typed(field: Field, type_: ParamType) -> tuple[ParamType, Scalar | None]:
    return type_, None if field.value is None else field.scalar(type_)


def _type_of(field: Field) -> ParamType:
    if field.value is None:
        return "str"
    type_ = scalar_type(field.value)
    if type_ is None:
        field.refuse(f"{quote(field.value)} is no value of a param", hint="Params are str, int, float or bool.")
    return type_


def _read_type(field: Field) -> ParamType:
    text = field.text()
    if text in OTHER_SPELLINGS:
        return OTHER_SPELLINGS[text]
    return next((type_ for type_ in TYPES if type_ == text), None) or _refuse_type(field, text)


def _refuse_type(field: Field, text: str) -> ParamType:
    field.refuse(f"{quote(text)} is no type of a param", hint=nearest(text, TYPES))
