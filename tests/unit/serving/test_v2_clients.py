"""The protocol as a stock client writes and reads it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput, InferResult
from tritonclient.utils import np_to_triton_dtype

from raykqi.serving.answering import Answering
from raykqi.serving.frames import Answered
from tests import models
from tests.unit.serving.answering import answered, ask

NUMBERS = (np.bool_, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64)
FLOATS = (np.float16, np.float32, np.float64)
SHAPES = arrays.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=5)
TENSORS = st.one_of(
    st.sampled_from(NUMBERS + FLOATS).flatmap(
        lambda dtype: arrays.arrays(
            dtype,
            SHAPES,
            elements={"allow_nan": False, "allow_infinity": False} if dtype in FLOATS else None,
        )
    ),
    arrays.arrays(object, SHAPES, elements=st.text(max_size=8).map(str.encode), fill=st.nothing()),
)


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Answering:
    """A class of a user that gives back the tensors that it was asked with."""
    folder = tmp_path_factory.mktemp("echo")
    models.custom(folder, body="class Predictor:\n    def predict(self, inputs):\n        return inputs\n")
    return answered(folder)


def sent(tensors: dict[str, Any], is_binary: bool, **more: Any) -> tuple[bytes, dict[str, str]]:
    inputs = []
    for name, tensor in tensors.items():
        each = InferInput(name, list(tensor.shape), np_to_triton_dtype(tensor.dtype))
        inputs.append(each.set_data_from_numpy(tensor, binary_data=is_binary))
    body, length = InferenceServerClient.generate_request_body(inputs, **more)
    return body, {} if length is None else {"inference-header-content-length": str(length)}


def result_of(answer: Answered) -> InferResult:
    assert answer.status == 200, bytes(answer.body)
    length = answer.headers.get("inference-header-content-length")
    return InferResult.from_response_body(bytes(answer.body), header_length=length and int(length))


@given(st.dictionaries(st.sampled_from("abc"), TENSORS, min_size=1))
def test_binary_tensors_come_back_as_they_were(echo: Answering, tensors: dict[str, Any]) -> None:
    result = result_of(ask(echo, "infer", *sent(tensors, is_binary=True)))

    for name, tensor in tensors.items():
        np.testing.assert_array_equal(result.as_numpy(name), tensor, strict=True)


@given(TENSORS)
def test_tensors_in_json_come_back_as_they_were(echo: Answering, tensor: Any) -> None:
    body, headers = sent({"a": tensor}, is_binary=False, outputs=[InferRequestedOutput("a", binary_data=False)])
    answer = ask(echo, "infer", body, headers)

    if tensor.dtype == np.float16:
        assert answer.status == 400
    else:
        # The client makes texts of what it reads from JSON.
        wanted = tensor if tensor.dtype != object else np.vectorize(bytes.decode, otypes=[object])(tensor)
        np.testing.assert_array_equal(result_of(answer).as_numpy("a"), wanted, strict=True)


@given(st.binary(max_size=60), st.integers(0, 60) | st.none())
def test_any_bytes_are_answered_or_refused(echo: Answering, body: bytes, length: int | None) -> None:
    answer = ask(echo, "infer", body, {} if length is None else {"inference-header-content-length": str(length)})

    assert answer.status == 400


@given(
    cut=st.integers(0, 400),
    changed=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=3),
)
def test_a_damaged_request_is_refused_or_another_valid_one(
    echo: Answering, cut: int, changed: list[tuple[int, int]]
) -> None:
    body, headers = sent({"a": np.arange(6.0).reshape(2, 3), "b": np.array([b"x", b"yz"], object)}, is_binary=True)
    damaged = bytearray(body[: len(body) - cut % len(body)])
    for place, value in changed:
        damaged[place % len(damaged)] = value

    answer = ask(echo, "infer", bytes(damaged), headers)

    assert answer.status in (200, 400)


@pytest.mark.parametrize("make", [models.mlp, models.two_inputs, models.image])
def test_the_results_are_those_of_onnxruntime_bit_for_bit(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(make(tmp_path), options, providers=["CPUExecutionProvider"])
    answering = answered(tmp_path)
    random = np.random.default_rng(5)
    for rows in (1, 2, 7, 64):
        inputs = {}
        for spec in answering.about.inputs:
            lengths = [rows if length == -1 else length for length in spec.shape]
            dtype = np.float32 if spec.datatype == "FP32" else np.int64
            inputs[spec.name] = random.normal(size=math.prod(lengths)).reshape(lengths).astype(dtype)
        wanted = dict(zip([each.name for each in session.get_outputs()], session.run(None, inputs), strict=True))
        for is_binary in (True, False):
            result = result_of(ask(answering, "infer", *sent(inputs, is_binary)))
            for name, tensor in wanted.items():
                np.testing.assert_array_equal(result.as_numpy(name), tensor, strict=True)
