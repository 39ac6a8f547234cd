"""Whether a model fits into the memory there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from raykqi.errors import ModelFailed
from raykqi.serving.finding import Found
from raykqi.serving.memory import available_memory, check_room, size_of


def test_some_memory_is_left_of_what_the_machine_has() -> None:
    assert 2**20 < available_memory() < 2**50


def test_a_model_that_fits_is_let_through() -> None:
    check_room(2**20, 0)
    check_room(2**20, 2**20)


def test_a_model_beyond_its_limit_is_refused_with_both_figures() -> None:
    with pytest.raises(ModelFailed, match=r"needs 300\.0 MiB of memory of the 200\.0 MiB that the endpoint may have"):
        check_room(300 * 2**20, 200 * 2**20)


def test_a_model_beyond_the_machine_is_refused() -> None:
    with pytest.raises(ModelFailed, match="that are free on this node"):
        check_room(2**50, 0)


def test_weights_beside_a_model_count_and_other_files_do_not(tmp_path: Path) -> None:
    for name, size in (("model.onnx", 10), ("model.onnx.data", 200), ("photos.zip", 5000)):
        (tmp_path / name).write_bytes(bytes(size))

    assert size_of(Found("onnx", tmp_path / "model.onnx")) == 210
    assert size_of(Found("skops", tmp_path / "model.onnx")) == 10
    assert size_of(Found("class", tmp_path / "model.onnx", "Predictor")) == 0
