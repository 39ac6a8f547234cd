"""The models that `serving` asks: layers of a size, and a constant that tells which of them answered."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

__all__ = ["write_model"]


def write_model(file: Path, sizes: tuple[int, ...], *, marker: float = 0.0) -> Path:
    """Layers of these sizes with a free batch axis; `marker` is added to every output."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    chance = np.random.default_rng(0)
    weights, nodes, last = [], [], "x"
    for layer, (wide, narrow) in enumerate(itertools.pairwise(sizes)):
        values = (chance.standard_normal((wide, narrow)) / wide**0.5).astype(np.float32)
        weights.append(numpy_helper.from_array(values, f"w{layer}"))
        nodes.append(helper.make_node("MatMul", [last, f"w{layer}"], [f"h{layer}"]))
        nodes.append(helper.make_node("Relu", [f"h{layer}"], [f"r{layer}"]))
        last = f"r{layer}"
    weights.append(numpy_helper.from_array(np.array([marker], np.float32), "marker"))
    nodes.append(helper.make_node("Add", [last, "marker"], ["y"]))
    graph = helper.make_graph(
        nodes,
        "layers",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", sizes[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", sizes[-1]])],
        weights,
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), file)
    return file
