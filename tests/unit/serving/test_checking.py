"""What a model is asked against what it takes: names, datatypes, shapes and values."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raykqi.errors import WrongInputs
from raykqi.serving.checking import array_inputs, check, plain_inputs
from raykqi.serving.datatypes import numpy_of
from raykqi.serving.predictor import About, Card, Datatype, TensorSpec
from raykqi.serving.values import raw_of, reshaped, tensor_of_json, tensor_of_raw

ONE = About("onnx", "onnxruntime_onnx", (TensorSpec("x", "FP32", (-1, 2)),), batches=True)
TWO = About(
    "onnx",
    "onnxruntime_onnx",
    (TensorSpec("a", "FP32", (-1, 2)), TensorSpec("b", "INT64", (-1,))),
    batches=True,
)
FIXED = About("onnx", "onnxruntime_onnx", (TensorSpec("x", "FP32", (1, 2)),))
FORGIVING = About("onnx", "onnxruntime_onnx", (TensorSpec("x", "FP32", (-1, 2)),), card=Card(allow_nan=True))


def said(error: pytest.ExceptionInfo[WrongInputs]) -> str:
    return error.value.message


@pytest.mark.parametrize(
    "body",
    [
        {"x": [[1, 2.5]]},
        {"inputs": {"x": [[1, 2.5]]}},
        {"inputs": [[1, 2.5]]},
        {"instances": [[1, 2.5]]},
        [[1, 2.5]],
        [1, 2.5],
    ],
)
def test_inputs_are_understood_as_people_write_them(body: Any) -> None:
    tensors = plain_inputs(body, ONE)

    assert list(tensors) == ["x"]
    assert tensors["x"].dtype == np.float32
    assert tensors["x"].tolist() == [[1.0, 2.5]]


def test_an_input_that_is_called_inputs_is_not_taken_for_a_wrapping() -> None:
    about = About("onnx", "onnxruntime_onnx", (TensorSpec("inputs", "FP32", (-1, 1)),), batches=True)

    assert plain_inputs({"inputs": [[1.0]]}, about)["inputs"].tolist() == [[1.0]]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"y": [[1, 2]]}, "the model has no input 'y'"),
        ({}, "the input 'x' is missing"),
        ({"inputs": {"x": [[1, 2]]}, "more": 1}, "beside 'inputs' stands 'more'"),
        ([[1, 2, 3]], "input 'x' has shape [1, 3], and [-1, 2] is wanted"),
        ([[[1, 2]]], "input 'x' has shape [1, 1, 2], and [-1, 2] is wanted"),
        (5, "input 'x' has shape [], and [-1, 2] is wanted"),
        ([], "input 'x' is empty: its shape is [1, 0]"),
        ([[]], "input 'x' is empty: its shape is [1, 0]"),
        ([{"a": 1, "b": 2}], "each row is an object"),
        ({"inputs": [{"name": "x", "data": [1]}]}, "the inputs are written as those of the Open Inference Protocol"),
        ("text", "input 'x' holds 'text', and numbers are wanted (FP32)"),
        (None, "input 'x' holds null, and numbers are wanted (FP32)"),
        ([[1, "2"]], "input 'x' holds '2', and numbers are wanted (FP32)"),
        ([[1, None]], "input 'x' holds null, and numbers are wanted (FP32)"),
        ([[1, {"a": 1}]], "input 'x' holds an object, and numbers are wanted (FP32)"),
        ([[1, 2], [3]], "input 'x' holds lists of different lengths"),
        ([[True, False]], "input 'x' holds true or false, and FP32 is wanted"),
        ([[1, 1e300]], "input 'x' holds a number beyond the range of FP32"),
        ([[1, 10**400]], "input 'x' holds a number beyond the range of FP32"),
        ([[1, float("nan")]], "input 'x' holds nan at [0, 1], which this model does not take"),
        ([[1, float("-inf")]], "input 'x' holds -inf at [0, 1], which this model does not take"),
    ],
)
def test_what_does_not_fit_is_refused_by_name_and_place(body: Any, message: str) -> None:
    with pytest.raises(WrongInputs) as raised:
        plain_inputs(body, ONE)

    assert said(raised) == message
    assert raised.value.status == 400


@pytest.mark.parametrize(
    "made",
    [
        {"x": np.array([[1, 2]], np.float64)},
        {"x": np.array([[1, 2]], np.int8)},
        {"x": np.array([[1, 2]], object)},
        {"x": [[1, 2]]},
        {"x": np.array([1, 2], np.float32)},
        np.array([[1, 2]]),
        [1, 2],
    ],
)
def test_arrays_of_files_and_hooks_become_the_datatype_of_the_input(made: Any) -> None:
    tensor = array_inputs(made, ONE)["x"]

    assert (tensor.dtype, tensor.tolist()) == (np.float32, [[1.0, 2.0]])


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (np.array([[1e300, 2]]), "input 'x' holds a number beyond the range of FP32"),
        (np.array([["1", "2"]]), "input 'x' holds '1', and numbers are wanted (FP32)"),
        (np.array([[True, False]]), "input 'x' holds true or false, and FP32 is wanted"),
        (np.zeros((2, 3)), "input 'x' has shape [2, 3], and [-1, 2] is wanted"),
        ({"y": np.zeros((1, 2))}, "the model has no input 'y'"),
        (None, "input 'x' holds null, and numbers are wanted (FP32)"),
        (np.array([1 + 2j, 2]), "input 'x' holds (1+2j), and numbers are wanted (FP32)"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(made: Any, message: str) -> None:
    with pytest.raises(WrongInputs) as raised:
        array_inputs(made, ONE)

    assert said(raised) == message


def test_several_inputs_are_named_and_have_as_many_rows() -> None:
    assert plain_inputs({"a": [[1, 2]], "b": [3]}, TWO)["b"].tolist() == [3]

    with pytest.raises(WrongInputs) as unnamed:
        plain_inputs([[1, 2]], TWO)
    with pytest.raises(WrongInputs) as uneven:
        plain_inputs({"a": [[1, 2]], "b": [3, 4]}, TWO)

    assert said(unnamed) == "the model has 2 inputs, which must be named"
    assert unnamed.value.hint == "It takes a (FP32 [-1, 2]), b (INT64 [-1])."
    assert said(uneven) == "the inputs differ in their number of rows: a has 1, b has 2"


def test_a_model_of_a_fixed_batch_takes_just_that() -> None:
    with pytest.raises(WrongInputs) as raised:
        check({"x": np.zeros((2, 2), np.float32)}, FIXED)

    assert said(raised) == "input 'x' has shape [2, 2], and [1, 2] is wanted"


def test_a_tensor_of_another_datatype_is_refused() -> None:
    with pytest.raises(WrongInputs) as raised:
        check({"x": np.zeros((1, 2), np.float64)}, ONE)

    assert said(raised) == "input 'x' is of FP64, and FP32 is wanted"


def test_a_card_lets_nan_pass() -> None:
    assert np.isnan(check({"x": np.array([[np.nan, 1]], np.float32)}, FORGIVING)["x"][0, 0])


def test_a_batch_of_no_rows_is_refused() -> None:
    with pytest.raises(WrongInputs) as raised:
        check({"x": np.zeros((0, 2), np.float32)}, ONE)

    assert said(raised) == "input 'x' is empty: its shape is [0, 2]"


@pytest.mark.parametrize(
    ("datatype", "values", "message"),
    [
        ("INT64", [1.5], "input 'x' holds 1.5, and INT64 takes whole numbers below 2**53"),
        ("INT64", [float("nan")], "input 'x' holds nan, and INT64 takes whole numbers below 2**53"),
        ("INT64", [2**63], f"input 'x' holds {2**63}, and INT64 goes from {-(2**63)} to {2**63 - 1}"),
        ("INT64", [2**70], f"input 'x' holds {2**70}, beyond the range of INT64"),
        ("INT64", [-1, 2**63], f"input 'x' holds {2**63}, and INT64 goes from {-(2**63)} to {2**63 - 1}"),
        ("UINT64", [-1, 2**63], f"input 'x' holds -1, and UINT64 goes from 0 to {2**64 - 1}"),
        ("UINT8", [256], "input 'x' holds 256, and UINT8 goes from 0 to 255"),
        ("UINT8", [-1], "input 'x' holds -1, and UINT8 goes from 0 to 255"),
        ("FP16", [70_000], "input 'x' holds a number beyond the range of FP16"),
        ("BOOL", [1], "input 'x' holds numbers, and BOOL is wanted"),
        ("BYTES", [1], "input 'x' holds 1, and texts are wanted"),
        ("BYTES", [["a"], ["b", "c"]], "input 'x' holds lists of different lengths"),
    ],
)
def test_values_beyond_their_datatype_are_refused(datatype: Datatype, values: Any, message: str) -> None:
    with pytest.raises(WrongInputs) as raised:
        tensor_of_json(values, TensorSpec("x", datatype))

    assert said(raised) == message


def test_numbers_of_json_become_the_datatype_where_their_value_stays() -> None:
    assert tensor_of_json([1, 2], TensorSpec("x", "FP64")).dtype == np.float64
    assert tensor_of_json([1.0, -2.0], TensorSpec("x", "INT8")).tolist() == [1, -2]
    assert tensor_of_json([0, 2**64 - 1], TensorSpec("x", "UINT64")).tolist() == [0, 2**64 - 1]
    assert tensor_of_json([2**70], TensorSpec("x", "FP32")).tolist() == [2.0**70]
    assert tensor_of_json([True], TensorSpec("x", "BOOL")).tolist() == [True]
    assert tensor_of_json([["é", ""]], TensorSpec("x", "BYTES")).tolist() == [[b"\xc3\xa9", b""]]


@pytest.mark.parametrize(
    ("datatype", "values"),
    [
        ("BOOL", [True, False]),
        ("UINT8", [0, 255]),
        ("UINT16", [0, 65_535]),
        ("UINT32", [0, 2**32 - 1]),
        ("UINT64", [0, 2**64 - 1]),
        ("INT8", [-128, 127]),
        ("INT16", [-32_768, 32_767]),
        ("INT32", [-(2**31), 2**31 - 1]),
        ("INT64", [-(2**63), 2**63 - 1]),
        ("FP16", [-1.5, 65_504.0]),
        ("BF16", [-1.5, 2.0**100]),
        ("FP32", [-1.5, 2.0**100]),
        ("FP64", [-1.5, 2.0**1000]),
        ("BYTES", [b"", b"\x00\xff"]),
    ],
)
def test_bytes_of_a_tensor_come_back_as_they_went(datatype: Datatype, values: list[Any]) -> None:
    spec = TensorSpec("x", datatype, (2, 1))
    tensor = np.array(values, dtype=numpy_of(datatype)).reshape(2, 1)

    assert tensor_of_raw(raw_of(tensor, spec), spec).tolist() == [[values[0]], [values[1]]]


@pytest.mark.parametrize(
    ("datatype", "shape", "raw", "message"),
    [
        ("FP32", (2, 2), b"\0" * 15, "input 'x' has 15 bytes, and [2, 2] of FP32 takes 16"),
        ("FP32", (2, 2), b"\0" * 20, "input 'x' has 20 bytes, and [2, 2] of FP32 takes 16"),
        ("FP32", (-1, 2), b"\0" * 8, "input 'x' has shape [-1, 2]"),
        ("INT64", (2**40, 2**40), b"", f"input 'x' has 0 bytes, and {[2**40, 2**40]} of INT64 takes {2**83}"),
        ("BYTES", (1,), b"\x05\0\0\0abc", "input 'x' has 7 bytes, which do not hold 1 elements, each after its length"),
        ("BYTES", (2,), b"\x01\0\0\0a", "input 'x' has 5 bytes, which do not hold 2 elements, each after its length"),
        ("BYTES", (1,), b"\x01\0\0\0a..", "input 'x' has 7 bytes, which do not hold 1 elements, each after its length"),
        ("BYTES", (1,), b"\x01", "input 'x' has 1 bytes, which do not hold 1 elements, each after its length"),
    ],
)
def test_bytes_that_are_cut_short_or_too_many_are_refused(
    datatype: Datatype, shape: tuple[int, ...], raw: bytes, message: str
) -> None:
    with pytest.raises(WrongInputs) as raised:
        tensor_of_raw(raw, TensorSpec("x", datatype, shape))

    assert said(raised) == message


def test_values_in_a_row_take_the_shape_that_is_stated() -> None:
    flat = tensor_of_json([1, 2, 3, 4], TensorSpec("x", "FP32"))

    assert reshaped(flat, TensorSpec("x", "FP32", (2, 2))).tolist() == [[1, 2], [3, 4]]
    with pytest.raises(WrongInputs, match=r"has 4 values, and shape \[2, 3\] takes 6"):
        reshaped(flat, TensorSpec("x", "FP32", (2, 3)))
    with pytest.raises(WrongInputs, match=r"is nested as \[1, 4\], and says shape \[2, 2\]"):
        reshaped(flat.reshape(1, 4), TensorSpec("x", "FP32", (2, 2)))


NUMBERS = st.integers() | st.floats()
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "inputs", "data", "y"]), inner),
    max_leaves=8,
)


@given(VALUES | st.lists(st.lists(NUMBERS, min_size=2, max_size=2), min_size=1), st.sampled_from(["FP32", "INT8"]))
def test_whatever_json_holds_is_taken_right_or_refused(body: Any, datatype: Datatype) -> None:
    about = About("onnx", "onnxruntime_onnx", (TensorSpec("x", datatype, (-1, 2)),), batches=True)

    with contextlib.suppress(WrongInputs):
        tensor = plain_inputs(body, about)["x"]
        assert tensor.dtype == numpy_of(datatype)
        assert tensor.shape == (len(tensor), 2)
        assert np.isfinite(tensor).all()


@given(
    st.sampled_from(["FP32", "BYTES", "BOOL", "BF16", "INT64"]),
    st.lists(st.integers(-2, 3), max_size=3),
    st.binary(max_size=40),
)
def test_whatever_bytes_come_are_taken_right_or_refused(datatype: Datatype, shape: list[int], raw: bytes) -> None:
    with contextlib.suppress(WrongInputs):
        assert tensor_of_raw(raw, TensorSpec("x", datatype, tuple(shape))).shape == tuple(shape)
