"""Specs of endpoints as files: YAML, as strict as plan files are, and written so that it reads back the same."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from raykqi.domain.endpoint import (
    Batching,
    Binding,
    Canary,
    EndpointSpec,
    Gate,
    Guard,
    Loading,
    RequestLimits,
    Sampling,
    Scale,
    ServingResources,
    check_endpoint_name,
    check_spec,
)
from raykqi.domain.resources import parse_bytes, show_bytes
from raykqi.domain.tags import Tag, parse_tags
from raykqi.importers.field import Field
from raykqi.importers.places import Places, Where, nearest, quote
from raykqi.importers.writing import write_description
from raykqi.importers.yaml_tree import Plain, decode, read_tree

__all__ = ["change_spec", "read_endpoint", "render_endpoint"]

SECTIONS: dict[str, type[msgspec.Struct]] = {
    "batching": Batching,
    "limits": RequestLimits,
    "scale": Scale,
    "resources": ServingResources,
    "gate": Gate,
    "canary": Canary,
    "guard": Guard,
    "sampling": Sampling,
}
OF_LOADING = ("predictor", "trust", "trust_pickle", "provider", "environment")
KEYS = ("name", "data", "tags", *OF_LOADING, *SECTIONS, "public", "surge")
CHANGED = (*(key for key in OF_LOADING if key != "environment"), "public", "surge")
SIZES, TIMES = ("body", "memory"), ("seconds", "timeout", "idle")
OFF = ("off", "none")
TAGS = "[type:model, stage:prod]"


def read_endpoint(content: bytes, source: str) -> tuple[str, EndpointSpec]:
    """The spec in the content of a file, which messages call `source`, and its name, if it says one."""
    tree, lines = read_tree(decode(content, source), source)
    places = Places(source, lines)
    entries = Field(tree if tree is not None else {}, (), places).entries(KEYS, what="the spec of an endpoint")
    name = _name(entries["name"]) if "name" in entries else ""
    binding = Binding(
        data=entries["data"].text(what="id").strip() if "data" in entries else "",
        tags=_tags(entries["tags"]) if "tags" in entries else (),
    )
    spec = EndpointSpec(
        binding=binding,
        loading=Loading(**{key: _value(Loading, key, entries[key]) for key in OF_LOADING if key in entries}),
        is_public=entries["public"].flag() if "public" in entries else False,
        surge=entries["surge"].flag() if "surge" in entries else True,
        **{key: _section(kind, entries[key]) for key, kind in SECTIONS.items() if key in entries},
    )
    with places.at(*_bounds(entries)):
        return name, check_spec(spec)


def change_spec(spec: EndpointSpec, changes: Mapping[str, str]) -> EndpointSpec:
    """The spec with other values, named as in a file with dots between: `scale.most`, `environment.LANG`.

    Lists have commas between their items. Whether what comes of it is possible is checked by who takes it.
    """
    for path, text in changes.items():
        spec = _changed(spec, path, text)
    return spec


def _changed(spec: EndpointSpec, path: str, text: str) -> EndpointSpec:
    key, _, inner = path.partition(".")
    field = Field(Plain(text), (*path.split("."),), Places())
    if key in SECTIONS:
        kind = SECTIONS[key]
        if inner not in kind.__struct_fields__:
            field.refuse(f"there is no key {quote(inner)} in `{key}`", hint=nearest(inner, kind.__struct_fields__))
        value = _value(kind, inner, _listed(kind, inner, field))
        return msgspec.structs.replace(spec, **{key: msgspec.structs.replace(getattr(spec, key), **{inner: value})})
    if key == "environment" and inner:
        environment = {**spec.loading.environment, inner: field.text()}
        return msgspec.structs.replace(spec, loading=msgspec.structs.replace(spec.loading, environment=environment))
    if key not in CHANGED or inner:
        known = [*CHANGED, *(f"{name}.{each}" for name, kind in SECTIONS.items() for each in kind.__struct_fields__)]
        field.refuse(f"there is no key {quote(path)} in the spec of an endpoint", hint=nearest(path, known))
    if key in ("public", "surge"):
        return msgspec.structs.replace(spec, **{"is_public" if key == "public" else key: field.flag()})
    value = _value(Loading, key, _listed(Loading, key, field))
    return msgspec.structs.replace(spec, loading=msgspec.structs.replace(spec.loading, **{key: value}))


def _listed(kind: type[msgspec.Struct], key: str, field: Field) -> Field:
    if get_origin(_hints(kind)[key]) is not tuple:
        return field
    items = [Plain(text.strip()) for text in str(field.value).split(",") if text.strip()]
    return Field(items, field.where, field.places)


def render_endpoint(name: str, spec: EndpointSpec) -> str:
    """YAML of what differs from what it would be anyway."""
    description: dict[str, Any] = {"name": name}
    if spec.binding.data:
        description["data"] = spec.binding.data
    else:
        description["tags"] = [str(tag) for tag in spec.binding.tags]
    description |= _differing(spec.loading)
    for key in SECTIONS:
        if differing := _differing(getattr(spec, key)):
            description[key] = differing
    if spec.is_public:
        description["public"] = True
    if not spec.surge:
        description["surge"] = False
    return write_description(description)


def _bounds(entries: Mapping[str, Field]) -> Where:
    """Where a rule on several values stands: at the one section that there is, else at the file."""
    sections = [key for key in SECTIONS if key in entries]
    return (sections[0],) if len(sections) == 1 and ("data" in entries) != ("tags" in entries) else ()


def _section(kind: type[msgspec.Struct], field: Field) -> Any:
    entries = field.entries(kind.__struct_fields__, what=f"`{field.where[-1]}`")
    return kind(**{key: _value(kind, key, entry) for key, entry in entries.items()})


def _value(kind: type[msgspec.Struct], key: str, field: Field) -> Any:
    """As the field of the Struct wants it."""
    hint = _hints(kind)[key]
    if _may_be_none(hint) and isinstance(field.value, str) and field.value.lower() in OFF:
        return None
    if key == "tags":
        return _tags(field)
    if key in SIZES:
        with field.places.at(*field.where):
            return parse_bytes(key, field.value)
    if key in TIMES:
        return field.seconds()
    if hint is bool:
        return field.flag()
    if hint is int:
        return field.whole(0, 1 << 50)
    if get_origin(hint) is tuple:
        return field.texts(example="[…]")
    if get_origin(hint) is dict:
        return {name: value.text() for name, value in field.named(what=f"`{key}`").items()}
    if hint is str:
        return field.text()
    if choices := [each for each in get_args(hint) if isinstance(each, str)]:
        return field.choice(choices)
    return field.scalar("float")


@cache
def _hints(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return get_type_hints(kind)


def _may_be_none(hint: object) -> bool:
    return isinstance(hint, UnionType) and type(None) in get_args(hint)


def _name(field: Field) -> str:
    text = field.text(what="name")
    with field.places.at(*field.where):
        return check_endpoint_name(text)


def _tags(field: Field) -> tuple[Tag, ...]:
    found: list[Tag] = []
    for item in field.items(example=TAGS):
        text = item.text(what="tag")
        with item.places.at(*item.where):
            found += parse_tags([text])
    return tuple(sorted(set(found)))


def _differing(value: msgspec.Struct) -> dict[str, Any]:
    """What is not as it would be anyway, as a file says it."""
    shown: dict[str, Any] = {}
    plain = {default.name: default.default for default in msgspec.structs.fields(type(value))}
    for key in value.__struct_fields__:
        found = getattr(value, key)
        if found == plain[key] or found in ((), {}):
            continue
        if key == "tags":
            shown[key] = [str(tag) for tag in found]
        elif key in SIZES:
            shown[key] = show_bytes(found)
        else:
            shown[key] = "off" if found is None else list(found) if isinstance(found, tuple) else found
    return shown
