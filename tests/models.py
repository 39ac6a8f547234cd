"""Small models as tests serve them: each function writes one into a folder and says where.

Weights come from fixed seeds: the same call writes the same bytes.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

__all__ = ["card", "classifier", "conv", "corrupt", "custom", "failing_init", "fixed", "image", "mlp", "pickled"]
__all__ += ["slow", "streaming", "too_new", "two_inputs", "unsupported"]

OPSET = 17
IR = 8  # of the same age as the opset


def mlp(
    folder: Path, *, features: int = 4, hidden: int = 8, classes: int = 3, seed: int = 0, batch: int | str = "batch"
) -> Path:
    """`x` (FP32 [-1, features]) → `probabilities` (FP32 [-1, classes]): two layers and a softmax."""
    random = np.random.default_rng(seed)
    weights = {
        "w1": random.normal(size=(features, hidden)),
        "b1": random.normal(size=hidden),
        "w2": random.normal(size=(hidden, classes)),
        "b2": random.normal(size=classes),
    }
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "w2", "b2"], ["z"]),
        helper.make_node("Softmax", ["z"], ["probabilities"], axis=1),
    ]
    return _write(folder, nodes, {"x": [batch, features]}, {"probabilities": [batch, classes]}, weights)


def fixed(folder: Path) -> Path:
    """The same with a batch that is always 1."""
    return mlp(folder, batch=1)


def slow(folder: Path, *, size: int = 64, depth: int = 800) -> Path:
    """`x` (FP32 [-1, size]) → `y`: so deep that one row takes milliseconds, and 64 rows not much longer."""
    weights = {"w": np.random.default_rng(1).normal(size=(size, size)) * 1.5 / size**0.5}
    nodes = []
    for at in range(depth):
        inward, outward = f"h{at}" if at else "x", f"h{at + 1}" if at + 1 < depth else "y"
        nodes += [
            helper.make_node("MatMul", [inward, "w"], [f"m{at}"]),
            helper.make_node("Tanh", [f"m{at}"], [outward]),
        ]
    return _write(folder, nodes, {"x": ["batch", size]}, {"y": ["batch", size]}, weights)


def two_inputs(folder: Path) -> Path:
    """`a` and `b` (FP32 [-1, 2]) → `sum`."""
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"])]
    return _write(folder, nodes, {"a": ["n", 2], "b": ["n", 2]}, {"sum": ["n", 2]}, {})


def image(folder: Path, *, side: int = 8, classes: int = 10) -> Path:
    """A digit of side × side greys (`pixels` FP32 [-1, 1, side, side]) → `scores`, with a card that says so."""
    weights = {"w": np.random.default_rng(2).normal(size=(side * side, classes))}
    nodes = [
        helper.make_node("Flatten", ["pixels"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "w"], ["z"]),
        helper.make_node("Softmax", ["z"], ["scores"], axis=1),
    ]
    card(
        folder,
        "title: digits\nlabels: [zero, one, two, three, four, five, six, seven, eight, nine]\n"
        f"image: {{size: [{side}, {side}], mode: L, layout: NCHW, scale: 0.00392156862745098}}\n"
        "metrics: {accuracy: 0.97}\n",
    )
    return _write(folder, nodes, {"pixels": ["n", 1, side, side]}, {"scores": ["n", classes]}, weights)


def conv(folder: Path, *, side: int = 32, channels: int = 64, layers: int = 4) -> Path:
    """`pixels` (FP32 [-1, 3, side, side]) → `features`: convolutions, several milliseconds on one core."""
    random = np.random.default_rng(3)
    widths = [3, *[channels] * layers]
    weights = {
        f"w{at}": random.normal(size=(widths[at + 1], widths[at], 3, 3)) / (9 * widths[at]) ** 0.5
        for at in range(layers)
    }
    names = ["pixels", *(f"h{at}" for at in range(layers - 1)), "features"]
    nodes = [
        helper.make_node("Conv", [names[at], f"w{at}"], [names[at + 1]], pads=[1, 1, 1, 1]) for at in range(layers)
    ]
    return _write(folder, nodes, {"pixels": ["n", 3, side, side]}, {"features": ["n", channels, side, side]}, weights)


def too_new(folder: Path) -> Path:
    """An opset that no release knows."""
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    return _write(folder, nodes, {"x": ["n", 2]}, {"y": ["n", 2]}, {}, opset=9_999)


def unsupported(folder: Path) -> Path:
    """An operator of somebody's own."""
    nodes = [helper.make_node("Whiten", ["x"], ["y"], domain="com.example")]
    return _write(folder, nodes, {"x": ["n", 2]}, {"y": ["n", 2]}, {}, domains=("com.example",))


def corrupt(folder: Path) -> Path:
    """The first half of a good file."""
    path = mlp(folder)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def classifier(folder: Path, *, labels: tuple[Any, ...] = ("no", "yes")) -> Path:
    """A logistic regression of scikit-learn over 3 features, written by skops."""
    import skops.io

    path = _inside(folder, "model.skops")
    skops.io.dump(_fitted(labels), path)
    return path


def pickled(folder: Path) -> Path:
    """The same, as a pickle."""
    path = _inside(folder, "model.pkl")
    path.write_bytes(pickle.dumps(_fitted(("no", "yes"))))
    return path


def custom(folder: Path, *, body: str = "") -> Path:
    """A class of a user: counts words, several at a time too; the text `bad` makes it raise."""
    text = body or (
        "class Predictor:\n"
        "    def __init__(self, model, card):\n"
        "        self.model, self.card = model, card\n\n"
        "    def predict(self, inputs):\n"
        "        if inputs == 'bad':\n"
        "            raise ValueError('this text is bad')\n"
        "        return {'words': len(inputs.split())}\n"
    )
    path = _inside(folder, "predictor.py")
    path.write_text(text, encoding="utf-8")
    return path


def streaming(folder: Path) -> Path:
    """A class of a user that answers bit by bit."""
    return custom(
        folder,
        body="class Predictor:\n"
        "    def predict(self, inputs):\n"
        "        return list(self.stream(inputs))\n\n"
        "    def stream(self, inputs):\n"
        "        for word in inputs.split():\n"
        "            yield {'word': word}\n",
    )


def failing_init(folder: Path) -> Path:
    """A class of a user that cannot be made."""
    return custom(
        folder,
        body="class Predictor:\n"
        "    def __init__(self, model):\n"
        "        raise RuntimeError('the vocabulary is missing')\n\n"
        "    def predict(self, inputs):\n"
        "        return None\n",
    )


def card(folder: Path, text: str) -> Path:
    path = _inside(folder, "model-card.yaml")
    path.write_text(text, encoding="utf-8")
    return path


def _fitted(labels: tuple[Any, ...]) -> Any:
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(4)
    features = random.normal(size=(60, 3))
    return LogisticRegression().fit(features, np.asarray(labels)[(features[:, 0] > 0).astype(int)])


def _write(
    folder: Path,
    nodes: list[Any],
    inputs: dict[str, list[int | str]],
    outputs: dict[str, list[int | str]],
    weights: dict[str, NDArray[Any]],
    *,
    opset: int = OPSET,
    domains: tuple[str, ...] = (),
) -> Path:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [
            helper.make_tensor(name, TensorProto.FLOAT, value.shape, value.astype("<f4").tobytes(), raw=True)
            for name, value in weights.items()
        ],
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    path = _inside(folder, "model.onnx")
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=IR).SerializeToString())
    return path


def _inside(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name
