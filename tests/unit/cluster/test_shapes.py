"""Nodes as Ray lists them, in the units of the domain."""

from __future__ import annotations

from typing import Any

from raykqi.cluster.shapes import slots, to_shape
from raykqi.domain.order import NodeShape
from raykqi.domain.resources import Resources

NODE: dict[str, Any] = {
    "NodeID": "5e9aab7e",
    "Alive": True,
    "NodeManagerAddress": "192.0.2.2",
    "NodeManagerHostname": "worker-3",
    "NodeName": "192.0.2.2",
    "Resources": {
        "CPU": 8.0,
        "GPU": 2.0,
        "memory": 17538266727.0,
        "object_store_memory": 7516400025.0,
        "node:192.0.2.2": 1.0,
        "accelerator_type:H100": 1.0,
        "license": 1.5,
    },
    "Labels": {"zone": "a"},
}


def test_a_node_is_told_with_its_totals_and_labels() -> None:
    assert to_shape(NODE) == NodeShape(
        name="worker-3",
        total=Resources(cpu=8000, memory=17538266727, gpu=2000, accelerator="H100", custom={"license": 1500}),
        labels={"zone": "a"},
    )


def test_a_name_given_to_a_node_is_its_name() -> None:
    assert to_shape({**NODE, "NodeName": "left"}).name == "left"


def test_slots_are_counted_by_what_is_scarcest_on_each_node() -> None:
    nodes = [
        NodeShape("a", Resources(cpu=8000, memory=4000, gpu=1000)),
        NodeShape("b", Resources(cpu=3000, memory=4000)),
    ]
    assert slots(nodes, Resources(cpu=1000, memory=1000)) == 7
    assert slots(nodes, Resources(cpu=1000, memory=0, gpu=250)) == 4
    assert slots(nodes, Resources(cpu=1000, memory=0, gpu=1000, accelerator="H100")) == 0
    assert slots(nodes, Resources(cpu=1000, memory=0, custom={"license": 1000})) == 0


def test_an_accelerator_is_the_same_however_it_is_spelled() -> None:
    nodes = [NodeShape("a", Resources(cpu=4000, memory=4000, gpu=2000, accelerator="A100"))]
    assert slots(nodes, Resources(cpu=1000, memory=0, gpu=1000, accelerator="a100")) == 2
