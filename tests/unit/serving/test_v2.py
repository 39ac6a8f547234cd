"""Requests of the Open Inference Protocol: what is answered, and what is refused with which words."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from raykqi.serving.answering import Answering
from raykqi.serving.frames import Answered
from raykqi.serving.metadata import model_metadata
from tests import models
from tests.unit.serving.answering import answered, ask, told

X = {"name": "x", "shape": [2, 4], "datatype": "FP32"}
ROWS = [1.0, 2.0, 3.0, 4.0, -1.0, 0.5, 0.25, 8.0]
RAW = struct.pack("<8f", *ROWS)


@pytest.fixture(scope="module")
def mlp(tmp_path_factory: pytest.TempPathFactory) -> Answering:
    folder = tmp_path_factory.mktemp("mlp")
    models.mlp(folder)
    return answered(folder)


@pytest.fixture(scope="module")
def expected(mlp: Answering) -> np.ndarray[Any, Any]:
    return mlp._predictor.run({"x": np.array(ROWS, np.float32).reshape(2, 4)})["probabilities"]  # type: ignore[attr-defined,no-any-return]


def binary(request: dict[str, Any], tail: bytes, length: str | None = None) -> tuple[bytes, dict[str, str]]:
    head = msgspec.json.encode(request)
    return head + tail, {"inference-header-content-length": str(len(head)) if length is None else length}


def one(size: Any, **changes: Any) -> dict[str, Any]:
    return {"inputs": [X | {"parameters": {"binary_data_size": size}} | changes]}


@pytest.mark.parametrize("data", [ROWS, [ROWS[:4], ROWS[4:]]])
def test_values_in_a_row_or_nested_are_answered_in_a_row(
    mlp: Answering, expected: np.ndarray[Any, Any], data: list[Any]
) -> None:
    answer = ask(mlp, "infer", {"id": "r1", "inputs": [X | {"data": data}]})

    assert answer.status == 200
    assert answer.headers == {"content-type": "application/json"}
    assert told(answer) == {
        "model_name": "digits",
        "model_version": "3",
        "id": "r1",
        "outputs": [
            {
                "name": "probabilities",
                "datatype": "FP32",
                "shape": [2, 3],
                "data": [float(each) for each in expected.ravel()],
            }
        ],
    }


def test_binary_tensors_are_read_and_given_as_asked(mlp: Answering, expected: np.ndarray[Any, Any]) -> None:
    body, headers = binary(one(32) | {"parameters": {"binary_data_output": True}}, RAW)

    answer = ask(mlp, "infer", body, headers)

    length = int(answer.headers["inference-header-content-length"])
    assert answer.headers["content-type"] == "application/octet-stream"
    assert msgspec.json.decode(answer.body[:length])["outputs"] == [
        {
            "name": "probabilities",
            "datatype": "FP32",
            "shape": [2, 3],
            "parameters": {"binary_data_size": 24},
        }
    ]
    assert bytes(answer.body[length:]) == expected.tobytes()


def test_what_an_output_says_goes_before_what_the_request_says(mlp: Answering) -> None:
    wanted = [{"name": "probabilities", "parameters": {"binary_data": False}}]
    request = {
        "inputs": [X | {"data": ROWS}],
        "outputs": wanted,
        "parameters": {"binary_data_output": True},
    }

    assert "data" in told(ask(mlp, "infer", request))["outputs"][0]


def test_members_that_are_null_are_as_if_they_were_not_there(mlp: Answering) -> None:
    tensor = X | {"data": ROWS, "parameters": None}

    answer = ask(mlp, "infer", {"inputs": [tensor], "id": None, "parameters": None, "outputs": None})

    assert told(answer).keys() == {"model_name", "model_version", "outputs"}


def test_the_best_classes_come_with_their_labels(tmp_path: Path) -> None:
    models.mlp(tmp_path)
    models.card(tmp_path, "labels: [cat, dog, bird]\n")
    wanted = [{"name": "probabilities", "parameters": {"classification": 2}}]

    answer = ask(answered(tmp_path), "infer", {"inputs": [X | {"data": ROWS}], "outputs": wanted})

    (output,) = told(answer)["outputs"]
    assert (output["datatype"], output["shape"]) == ("BYTES", [2, 2])
    value, index, label = output["data"][0].split(":")
    assert float(value) > 0.3
    assert label == ["cat", "dog", "bird"][int(index)]


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"inputs": [X | {"data": ROWS[:7]}]}, "has 7 values, and shape [2, 4] takes 8"),
        ({"inputs": [X | {"data": ROWS, "datatype": "FP64"}]}, "input 'x' is of FP64, and FP32 is wanted"),
        ({"inputs": [X | {"data": ROWS, "datatype": "FLOAT"}]}, "input 'x' is of FLOAT, and FP32 is wanted"),
        ({"inputs": [X | {"data": ROWS, "shape": [4, 2]}]}, "has shape [4, 2], and [-1, 4] is wanted"),
        ({"inputs": [X | {"data": ROWS, "shape": [-2, -4]}]}, "has shape [-2, -4]"),
        ({"inputs": [X | {"data": [], "shape": [0, 4]}]}, "is empty"),
        ({"inputs": [X | {"data": ROWS, "name": "y"}]}, "the model has no input 'y'"),
        ({"inputs": []}, "the input 'x' is missing"),
        ({"inputs": [X | {"data": ROWS}] * 2}, "stands twice"),
        ({"inputs": [X]}, "has no data"),
        ({"inputs": [X | {"data": "AAAA"}]}, "is no list"),
        ({"inputs": [X | {"data": ["a"] * 8}]}, "numbers are wanted"),
        ({"inputs": [X | {"data": [None] * 8}]}, "numbers are wanted"),
        ({"inputs": [X | {"parameters": {"shared_memory_region": "r"}}]}, "shared memory"),
        ({"inputs": [X | {"data": ROWS}], "outputs": [{"name": "z"}]}, "no output 'z'. It has probabilities."),
        ({"inputs": [X | {"data": ROWS}], "outputs": [{"name": "probabilities"}] * 2}, "asked for twice"),
        (
            {
                "inputs": [X | {"data": ROWS}],
                "outputs": [{"name": "probabilities", "parameters": {"classification": -1}}],
            },
            "a number of classes is wanted",
        ),
        ({"instances": [1]}, "is not one of the Open Inference Protocol: Object missing required field `inputs`"),
        ([1, 2], "is not one of the Open Inference Protocol"),
        (b"", "the body is not JSON"),
        (b'{"inputs": [', "the body is not JSON"),
        (b'{"inputs": [{"data":' + b"[" * 200_000, "nested too deeply"),
        (b'{"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [NaN, 1, 2, 3]}]}', "not JSON"),
        (RAW, "Inference-Header-Content-Length"),
    ],
)
def test_a_wrong_request_is_refused_with_the_reason(mlp: Answering, request_: Any, said: str) -> None:
    answer = ask(mlp, "infer", request_)

    assert answer.status == 400
    assert answer.headers == {"content-type": "application/problem+json"}
    assert said in told(answer)["error"]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: binary(one(32), RAW[:-1]), "ends early: 32 bytes are announced, and 31 came"),
        (lambda: binary(one(28), RAW[:28]), "has 28 bytes, and [2, 4] of FP32 takes 32"),
        (lambda: binary(one(32), RAW + b"more"), "4 bytes follow after the last tensor"),
        (lambda: binary(one("32"), RAW), "binary_data_size of input 'x' is '32'"),
        (lambda: binary(one(-1), RAW), "binary_data_size of input 'x' is -1"),
        (lambda: binary(one(32, data=ROWS), RAW), "both data and binary_data_size"),
        (lambda: binary(one(32), RAW, "999999"), "is 999999, and the body has"),
        (lambda: binary(one(32), RAW, "-5"), "a number of bytes is wanted"),
        (lambda: binary(one(32), RAW, "9" * 5000), "and the body has"),
        (lambda: binary(one(32), RAW, "20"), "the body is not JSON"),
        (lambda: binary(one(32), np.array([np.nan] * 8, "<f4").tobytes()), "which this model does not take"),
    ],
)
def test_a_wrong_binary_request_is_refused_with_the_reason(
    mlp: Answering, made: Callable[[], tuple[bytes, dict[str, str]]], said: str
) -> None:
    answer = ask(mlp, "infer", *made())

    assert answer.status == 400
    assert said in told(answer)["error"]


def test_metadata_is_what_clients_read(mlp: Answering) -> None:
    assert model_metadata(mlp.about, "digits", ["3"]) == {
        "name": "digits",
        "versions": ["3"],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]}],
    }


def test_a_class_is_asked_by_the_protocol_too(tmp_path: Path) -> None:
    models.custom(
        tmp_path,
        body="class Predictor:\n    def predict(self, inputs):\n        return {'sum': inputs['a'] + inputs['b']}\n",
    )
    tensor = {"shape": [2], "datatype": "INT64", "data": [1, 2]}

    answer = ask(answered(tmp_path), "infer", {"inputs": [tensor | {"name": "a"}, tensor | {"name": "b"}]})

    assert told(answer)["outputs"] == [{"name": "sum", "datatype": "INT64", "shape": [2], "data": [2, 4]}]


def test_several_requests_run_together_and_one_that_fails_fails_alone(tmp_path: Path) -> None:
    models.custom(
        tmp_path,
        body=(
            "class Predictor:\n"
            "    def predict(self, inputs):\n"
            "        return self.predict_batch([inputs])[0]\n"
            "    def predict_batch(self, several):\n"
            "        if 'bad' in several:\n"
            "            raise ValueError('this text is bad')\n"
            "        return [each.upper() for each in several]\n"
        ),
    )
    answering = answered(tmp_path)
    prepared = [answering.prepare("predict", {}, msgspec.json.encode(each)) for each in ("a", "bad", "b")]
    assert len({each.joins for each in prepared if not isinstance(each, Answered)}) == 1

    answers = answering.run(prepared)  # type: ignore[arg-type]

    assert [each.status for each in answers] == [200, 500, 200]  # type: ignore[union-attr]
    assert told(answers[0])["outputs"] == "A"  # type: ignore[arg-type]
    assert "ValueError: this text is bad" in told(answers[1])["error"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("several[1:]", "was given 3 requests and gave 2 results"),
        ("(each for each in range(5))", "was given 3 requests and gave 5 results"),
        ("None", "TypeError: 'NoneType' object is not iterable"),
    ],
)
def test_results_that_do_not_match_their_requests_are_given_to_nobody(tmp_path: Path, given: str, said: str) -> None:
    models.custom(
        tmp_path,
        body=(
            "class Predictor:\n"
            "    def predict(self, inputs):\n        return inputs\n"
            f"    def predict_batch(self, several):\n        return {given}\n"
        ),
    )
    answering = answered(tmp_path)
    prepared = [answering.prepare("predict", {}, msgspec.json.encode(each)) for each in ("a", "b", "c")]

    answers = answering.run(prepared)  # type: ignore[arg-type]

    assert [each.status for each in answers] == [500, 500, 500]  # type: ignore[union-attr]
    assert said in told(answers[2])["error"]  # type: ignore[arg-type]


def test_a_class_that_takes_several_requests_says_itself_what_goes_together(tmp_path: Path) -> None:
    models.custom(
        tmp_path,
        body=(
            "class Predictor:\n"
            "    def predict(self, inputs):\n"
            "        return self.predict_batch([inputs])[0]\n"
            "    def predict_batch(self, several):\n"
            "        return [{'sum': each['a'].sum() + each['b'].sum()} for each in several]\n"
        ),
    )
    models.card(tmp_path, "inputs: [{name: a, datatype: FP32, shape: [-1]}, {name: b, datatype: FP32, shape: []}]\n")
    asked = [
        {"name": "a", "shape": [2], "datatype": "FP32", "data": [1, 2]},
        {"name": "b", "shape": [3], "datatype": "FP32", "data": [3, 4, 5]},
    ]

    answer = ask(answered(tmp_path), "infer", {"inputs": asked})

    assert answer.status == 200, told(answer)
    assert told(answer)["outputs"][0]["data"] == [15.0]
