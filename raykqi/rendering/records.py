"""A lineage as plain dictionaries and lists, ready to be written as JSON: times as RFC 3339, tags as `key:value`."""

from __future__ import annotations

from typing import Any

import msgspec

from raykqi.domain.lineage import Ancestries, DataNode, Lineage, RunNode, Stub

__all__ = ["ancestries_to_json", "to_json"]

Record = dict[str, Any]


def to_json(lineage: Lineage) -> Record:
    return {
        "start": list(lineage.start),
        "as_of": lineage.as_of.isoformat() if lineage.as_of else None,
        "data": [_data(node) for node in lineage.data],
        "runs": [_run(node) for node in lineage.runs],
        "edges": [msgspec.to_builtins(edge) for edge in lineage.edges],
        "cut": list(lineage.cut),
        "stubs": [_stub(node) for node in lineage.stubs],
        "endpoints": [msgspec.to_builtins(node) for node in lineage.endpoints],
    }


def ancestries_to_json(ancestries: Ancestries) -> Record:
    return {
        "left": ancestries.left,
        "right": ancestries.right,
        "only_left": [_data(node) for node in ancestries.only_left],
        "only_right": [_data(node) for node in ancestries.only_right],
        "shared": [_data(node) for node in ancestries.shared],
        "runs_only_left": [_run(node) for node in ancestries.runs_only_left],
        "runs_only_right": [_run(node) for node in ancestries.runs_only_right],
        "stubs_only_left": [_stub(node) for node in ancestries.stubs_only_left],
        "stubs_only_right": [_stub(node) for node in ancestries.stubs_only_right],
        "stubs_shared": [_stub(node) for node in ancestries.stubs_shared],
    }


def _data(node: DataNode) -> Record:
    record: Record = msgspec.to_builtins(node)
    return record | {"tags": [str(tag) for tag in node.tags]}


def _stub(node: Stub) -> Record:
    return {"id": node.id, "kind": node.kind, "title": node.shown}


def _run(node: RunNode) -> Record:
    record: Record = msgspec.to_builtins(node)
    return record
