"""Models of onnxruntime: what is read from the file, what they answer, and why some cannot be loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from raykqi.domain.endpoint import Loading
from raykqi.errors import ModelFailed, WrongInputs
from raykqi.serving.describing import zeros
from raykqi.serving.loading import load
from raykqi.serving.metadata import about_json
from raykqi.serving.predictor import About, TensorPredictor, TensorSpec
from tests import models

PLAIN = Loading()


def loaded(folder: Path, loading: Loading = PLAIN, tags: tuple[str, ...] = ()) -> TensorPredictor:
    predictor = load(folder, None, loading, 1, tags=tags)
    assert predictor.about.is_tensor
    return predictor  # type: ignore[return-value]


def refused(folder: Path, loading: Loading = PLAIN) -> ModelFailed:
    with pytest.raises(ModelFailed) as raised:
        load(folder, None, loading, 1)
    return raised.value


def graph(folder: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], **meta: str) -> Path:
    made = helper.make_model(
        helper.make_graph(nodes, "graph", inputs, outputs), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    helper.set_model_props(made, meta)
    folder.mkdir(exist_ok=True)
    (folder / "model.onnx").write_bytes(made.SerializeToString())
    return folder


def test_names_datatypes_and_shapes_are_read_from_the_file(tmp_path: Path) -> None:
    models.mlp(tmp_path)

    assert loaded(tmp_path).about == About(
        kind="onnx",
        platform="onnxruntime_onnx",
        inputs=(TensorSpec("x", "FP32", (-1, 4)),),
        outputs=(TensorSpec("probabilities", "FP32", (-1, 3)),),
        card=loaded(tmp_path).about.card,
        batches=True,
        sample=b'{"inputs":{"x":[[0.0,0.0,0.0,0.0]]}}',
    )


@pytest.mark.parametrize("name", ["mlp", "conv", "image", "slow"])
@pytest.mark.parametrize("rows", [1, 3, 64])
def test_answers_equal_those_of_onnxruntime_to_the_last_bit(tmp_path: Path, name: str, rows: int) -> None:
    file = getattr(models, name)(tmp_path)
    bare = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    given = {
        each.name: np.random.default_rng(5).normal(size=(rows, *each.shape[1:])).astype(np.float32)
        for each in bare.get_inputs()
    }

    answered = loaded(tmp_path).run(given)

    expected = bare.run(None, given)
    assert [each.tobytes() for each in answered.values()] == [each.tobytes() for each in expected]


@pytest.mark.parametrize("name", ["mlp", "conv", "slow"])
def test_rows_answer_the_same_together_as_alone(tmp_path: Path, name: str) -> None:
    getattr(models, name)(tmp_path)
    model = loaded(tmp_path)
    (spec,) = model.about.inputs
    rows = np.random.default_rng(6).normal(size=(9, *spec.shape[1:])).astype(np.float32)

    together = next(iter(model.run({spec.name: rows}).values()))
    alone = [next(iter(model.run({spec.name: row[np.newaxis]}).values())) for row in rows]

    assert together.tobytes() == b"".join(each.tobytes() for each in alone)


def test_a_model_batches_when_its_first_lengths_are_open_and_one(tmp_path: Path) -> None:
    models.fixed(tmp_path / "fixed")
    models.two_inputs(tmp_path / "two")

    assert not loaded(tmp_path / "fixed").about.batches
    assert loaded(tmp_path / "two").about.batches
    assert not loaded(tmp_path / "two", tags=("card.batches:false",)).about.batches


@pytest.mark.parametrize(("given", "batches"), [(["x"], True), (["x", "x"], False)])
def test_where_a_file_names_no_batch_it_is_tried(tmp_path: Path, given: list[str], batches: bool) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 2])
    graph(tmp_path, [helper.make_node("Concat", given, ["y"], axis=0)], [x], [y])

    assert loaded(tmp_path).about.batches is batches


@pytest.mark.parametrize(("axis", "batches"), [(0, False), (1, True)])
def test_a_model_whose_rows_see_each_other_is_asked_one_by_one(tmp_path: Path, axis: int, batches: bool) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])
    graph(tmp_path, [helper.make_node("Softmax", ["x"], ["y"], axis=axis)], [x], [y])

    assert loaded(tmp_path).about.batches is batches
    assert loaded(tmp_path, tags=("card.batches:true",)).about.batches


def test_inputs_of_lengths_that_are_called_differently_are_no_batch(tmp_path: Path) -> None:
    a = helper.make_tensor_value_info("a", TensorProto.FLOAT, ["rows", 2])
    b = helper.make_tensor_value_info("b", TensorProto.FLOAT, ["others", 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 2])
    graph(tmp_path, [helper.make_node("Add", ["a", "b"], ["y"])], [a, b], [y])

    assert not loaded(tmp_path).about.batches


def test_texts_go_in_and_come_out(tmp_path: Path) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.STRING, ["n"])
    y = helper.make_tensor_value_info("y", TensorProto.STRING, ["n"])
    graph(tmp_path, [helper.make_node("Identity", ["x"], ["y"])], [x], [y])
    model = loaded(tmp_path)

    answered = model.run({"x": np.array([b"one", "zwölf".encode()], dtype=object)})

    assert answered["y"].tolist() == [b"one", "zwölf".encode()]
    assert model.run(zeros(model.about))["y"].tolist() == [b""]
    with pytest.raises(WrongInputs, match="holds bytes that are no text in UTF-8"):
        model.run({"x": np.array([b"\xff"], dtype=object)})


def test_probabilities_as_maps_become_an_array(tmp_path: Path) -> None:
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 2])
    entry = helper.make_map_type_proto(TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    zipped = helper.make_value_info("zipped", helper.make_sequence_type_proto(entry))
    node = helper.make_node("ZipMap", ["scores"], ["zipped"], domain="ai.onnx.ml", classlabels_strings=["no", "yes"])
    made = helper.make_model(
        helper.make_graph([node], "graph", [scores], [zipped]),
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)],
        ir_version=8,
    )
    (tmp_path / "model.onnx").write_bytes(made.SerializeToString())

    answered = loaded(tmp_path).run({"scores": np.array([[0.25, 0.75], [1, 0]], np.float32)})

    assert answered["zipped"].tolist() == [[0.25, 0.75], [1.0, 0.0]]


def test_what_an_exporter_left_in_the_file_fills_the_card(tmp_path: Path) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])
    graph(tmp_path, [helper.make_node("Relu", ["x"], ["y"])], [x], [y], labels='["cat", "dog"]')

    assert loaded(tmp_path).about.card.labels == ("cat", "dog")
    assert loaded(tmp_path, tags=("card.labels:a,b",)).about.card.labels == ("a", "b")


def test_metadata_shows_the_card_and_the_model(tmp_path: Path) -> None:
    models.image(tmp_path, side=2)

    shown = about_json(loaded(tmp_path, tags=("card.threshold:0.6",)).about)

    assert bytes(shown.pop("sample")) == b'{"inputs":{"pixels":[[[[0.0,0.0],[0.0,0.0]]]]}}'
    assert shown == {
        "kind": "onnx",
        "platform": "onnxruntime_onnx",
        "title": "digits",
        "inputs": [{"name": "pixels", "datatype": "FP32", "shape": [-1, 1, 2, 2]}],
        "outputs": [{"name": "scores", "datatype": "FP32", "shape": [-1, 10]}],
        "labels": ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
        "metrics": {"accuracy": 0.97},
        "threshold": 0.6,
        "image": {"size": (2, 2), "mode": "L", "layout": "NCHW", "scale": 0.00392156862745098},
        "batches": True,
        "streams": False,
    }


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("corrupt", "model.onnx is no ONNX model, or is cut short"),
        ("too_new", f"model.onnx uses opset 9999, and onnxruntime {onnxruntime.__version__} knows those up to "),
        ("unsupported", "model.onnx uses the operator com.example:Whiten, which onnxruntime "),
    ],
)
def test_a_file_that_cannot_be_loaded_is_refused_with_the_reason(tmp_path: Path, name: str, message: str) -> None:
    getattr(models, name)(tmp_path)

    error = refused(tmp_path)

    assert error.message.startswith(message)
    assert error.hint
    assert str(tmp_path) not in str(error)


def test_an_empty_file_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"")

    assert refused(tmp_path).message == "model.onnx is no ONNX model, or is cut short"


def test_weights_that_are_missing_are_named(tmp_path: Path) -> None:
    made = onnx.load(models.mlp(tmp_path))
    onnx.save_model(
        made, tmp_path / "model.onnx", save_as_external_data=True, location="model.onnx.data", size_threshold=0
    )
    assert loaded(tmp_path).about.batches

    (tmp_path / "model.onnx.data").unlink()

    assert refused(tmp_path).message == (
        "model.onnx keeps its weights in model.onnx.data, which the data does not hold beside it"
    )


def test_a_graph_that_does_not_fit_together_is_refused_on_one_line(tmp_path: Path) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])
    y = helper.make_tensor_value_info("y", TensorProto.INT64, ["n", 2])
    graph(tmp_path, [helper.make_node("Relu", ["x"], ["y"])], [x], [y])

    error = refused(tmp_path)

    assert error.message.startswith("model.onnx cannot be loaded: Type Error: Type (tensor(int64)) of output arg (y)")
    assert "\n" not in error.message
    assert "onnxruntime_src" not in error.message


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ("inputs: [{name: z}]", "the card has the input 'z', and the model has x"),
        ("inputs: [{name: x, datatype: INT64}]", "the card says INT64 of the input 'x', and the model FP32"),
        (
            "inputs: [{name: x, shape: [-1, 5]}]",
            "the card says the shape [-1, 5] of the input 'x', and the model [-1, 4]",
        ),
        ("image: {size: [3, 3]}", "the card's image does not fit the input 'x' of [-1, 4]: 3 × 3 in 1 colours are 9"),
        ("sample: sample.json", "the card's sample is the file 'sample.json', which the data does not hold"),
    ],
)
def test_a_card_that_contradicts_the_model_is_refused(tmp_path: Path, card: str, message: str) -> None:
    models.mlp(tmp_path)
    models.card(tmp_path, card)

    assert refused(tmp_path).message.startswith(message)


def test_a_card_narrows_lengths_that_the_file_leaves_open(tmp_path: Path) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", "width"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "width"])
    graph(tmp_path, [helper.make_node("Relu", ["x"], ["y"])], [x], [y])
    models.card(tmp_path, "inputs: [{name: x, shape: [-1, 3]}]\nsample: {x: [[1, 2, 3]]}")

    about = loaded(tmp_path).about

    assert about.inputs == (TensorSpec("x", "FP32", (-1, 3)),)
    assert about.sample == b'{"x":[[1,2,3]]}'


def test_a_sample_may_be_a_file(tmp_path: Path) -> None:
    models.image(tmp_path)
    (tmp_path / "seven.png").write_bytes(b"an image")

    about = loaded(tmp_path, tags=("card.sample:seven.png",)).about

    assert (about.sample, about.sample_type) == (b"an image", "image/png")


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="onnxruntime has CUDA")
def test_without_cuda_auto_takes_the_cpu_and_cuda_is_refused(tmp_path: Path) -> None:
    models.mlp(tmp_path)

    error = refused(tmp_path, Loading(provider="cuda"))

    assert loaded(tmp_path, Loading(provider="auto")).about.kind == "onnx"
    assert error.message == f"the onnxruntime {onnxruntime.__version__} that is installed cannot use CUDA"
    assert "onnxruntime-gpu" in error.hint
