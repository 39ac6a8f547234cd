"""The nodes of the cluster as the controller sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ray

from raykqi.domain.order import NodeShape
from raykqi.domain.resources import WHOLE, Resources

__all__ = ["accelerators", "node_ids", "node_shapes", "slots", "this_node", "to_shape"]

ACCELERATOR = "accelerator_type:"
MOST_SLOTS = 1024


def node_shapes() -> tuple[NodeShape, ...]:
    """The nodes that are alive now."""
    return tuple(sorted((to_shape(node) for node in _nodes() if node["Alive"]), key=lambda shape: shape.name))


def node_ids() -> list[str]:
    """Ray's names of the nodes that are alive now."""
    return [node["NodeID"] for node in _nodes() if node["Alive"]]


def accelerators() -> list[str]:
    """The types of GPU on the nodes that are alive now, as Ray spells them there."""
    held = [name for node in _nodes() if node["Alive"] for name in node["Resources"]]
    return sorted({name.removeprefix(ACCELERATOR) for name in held if name.startswith(ACCELERATOR)})


def this_node() -> str:
    """The name of the node that the caller, a task or an actor, is on."""
    own = ray.get_runtime_context().get_node_id()
    return next((_name(node) for node in _nodes() if node["NodeID"] == own), own)


def to_shape(node: Mapping[str, Any]) -> NodeShape:
    held: Mapping[str, float] = node["Resources"]
    custom = {
        name: round(amount * WHOLE)
        for name, amount in held.items()
        if name not in ("CPU", "GPU", "memory", "object_store_memory") and not name.startswith(("node:", ACCELERATOR))
    }
    total = Resources(
        cpu=round(held.get("CPU", 0) * WHOLE),
        memory=int(held.get("memory", 0)),
        gpu=round(held.get("GPU", 0) * WHOLE),
        accelerator=next((name.removeprefix(ACCELERATOR) for name in held if name.startswith(ACCELERATOR)), ""),
        custom=custom,
    )
    return NodeShape(_name(node), total, dict(node["Labels"]))


def slots(shapes: Sequence[NodeShape], wanted: Resources) -> int:
    """How many such runs the nodes can hold together when nothing else is on them."""
    return min(MOST_SLOTS, sum(_fits(shape.total, wanted) for shape in shapes))


def _fits(total: Resources, wanted: Resources) -> int:
    if wanted.accelerator and wanted.accelerator.lower() != total.accelerator.lower():
        return 0
    pairs = [(total.cpu, wanted.cpu), (total.gpu, wanted.gpu), (total.memory, wanted.memory)]
    pairs += [(total.custom.get(name, 0), amount) for name, amount in wanted.custom.items()]
    return min([MOST_SLOTS, *(has // takes for has, takes in pairs if takes)])


def _name(node: Mapping[str, Any]) -> str:
    """The name it was given, else its host's: Ray's own default is the address."""
    given, address = node.get("NodeName") or "", node["NodeManagerAddress"]
    return str(node["NodeManagerHostname"] if given in ("", address) else given)


def _nodes() -> list[dict[str, Any]]:
    listed: Any = ray.nodes
    return list(listed())
