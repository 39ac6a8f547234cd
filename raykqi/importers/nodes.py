"""`on_node` and `annotations`: texts `key=value` of two kinds."""

from __future__ import annotations

import re

from raykqi.domain.plan import NodeRules
from raykqi.importers.field import Field
from raykqi.importers.places import quote

__all__ = ["read_annotations", "read_node_rules"]

KEY_CHARS, VALUE_BYTES = 253, 2**20
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?\Z")
_PREFIX = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\Z")


def read_node_rules(field: Field) -> NodeRules:
    entries = field.entries(("may", "prefer", "must"), what="on_node")
    rules = {}
    for level, entry in entries.items():
        rules[level] = tuple(sorted({_label(item) for item in entry.items(example='["vram=large"]')}))
    return NodeRules(**rules)


def read_annotations(field: Field) -> tuple[tuple[str, str], ...]:
    """Texts `key=value`; the same key may have several values."""
    found = []
    for item in field.items(example='["purpose=trial"]'):
        key, equals, value = item.text().partition("=")
        key, value = key.strip(), value.strip()
        if not equals or not key:
            item.refuse(f"{quote(item.value)} is no annotation", hint="Write key=value, as in purpose=trial.")
        if len(key) > KEY_CHARS:
            item.refuse(f"its key has {len(key)} characters, more than {KEY_CHARS}", hint="Use a shorter key.")
        if len(value.encode()) > VALUE_BYTES:
            item.refuse(f"its value has {len(value.encode())} bytes, more than {VALUE_BYTES}", hint="Push it as data.")
        if (key, value) not in found:
            found.append((key, value))
    return tuple(sorted(found))


def _label(field: Field) -> str:
    text = field.text().strip()
    key, equals, value = text.partition("=")
    if not equals:
        field.refuse(f"{quote(text)} has no '='", hint="Write labels as key=value, as in accelerator=gpu.")
    prefix, slash, name = key.rpartition("/")
    if not _NAME.match(name) or (slash and not _PREFIX.match(prefix)):
        hint = "Use up to 63 letters, digits, '-', '_' and '.', perhaps after a domain and '/'."
        field.refuse(f"{quote(key)} is no key of a label", hint=hint)
    if value and not _NAME.match(value):
        hint = "Use up to 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit."
        field.refuse(f"{quote(value)} is no value of a label", hint=hint)
    return text
