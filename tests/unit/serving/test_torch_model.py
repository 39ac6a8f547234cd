"""Models of PyTorch: scripted and exported ones, and what is said where it is missing."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raykqi.domain.endpoint import Loading
from raykqi.errors import ModelFailed
from raykqi.serving.loading import load
from raykqi.serving.predictor import TensorPredictor, TensorSpec
from tests import models

HAS_TORCH = importlib.util.find_spec("torch") is not None
needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")
# torch tells of its own way of scripting that exporting is newer.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
PLAIN = Loading()
ROWS = np.arange(6, dtype=np.float32).reshape(2, 3)
CARD = "inputs: [{name: x, shape: [-1, 3]}]\noutputs: [{name: scores, shape: [-1, 2]}]\nlabels: [no, yes]\n"


def loaded(folder: Path, loading: Loading = PLAIN) -> TensorPredictor:
    return load(folder, None, loading, 1)  # type: ignore[return-value]


def refused(folder: Path, loading: Loading = PLAIN) -> ModelFailed:
    with pytest.raises(ModelFailed) as raised:
        load(folder, None, loading, 1)
    return raised.value


def linear() -> Any:
    import torch

    torch.manual_seed(0)
    return torch.nn.Linear(3, 2).eval()


def scripted(folder: Path, name: str = "model.pt") -> Any:
    import torch

    module = linear()
    torch.jit.save(torch.jit.trace(module, torch.zeros(1, 3)), str(folder / name))
    return module


def exported(folder: Path) -> Any:
    import torch

    module = linear()
    program = torch.export.export(
        module, (torch.zeros(2, 3),), dynamic_shapes={"input": {0: torch.export.Dim("batch")}}
    )
    torch.export.save(program, str(folder / "model.pt2"))
    return module


def expected(module: Any) -> Any:
    import torch

    with torch.inference_mode():
        return module(torch.from_numpy(ROWS)).numpy()


@pytest.mark.skipif(HAS_TORCH, reason="torch is installed")
def test_without_torch_its_models_are_refused_by_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"-")

    error = refused(tmp_path)

    assert error.message == "torch is needed to serve models of PyTorch, and is not installed"
    assert error.hint == "Install it where endpoints run: pip install 'torch'."


@needs_torch
@pytest.mark.parametrize("name", ["model.pt", "model.torchscript"])
def test_a_scripted_model_is_described_by_its_card(tmp_path: Path, name: str) -> None:
    module = scripted(tmp_path, name)
    models.card(tmp_path, CARD)

    model = loaded(tmp_path)

    assert model.about.inputs == (TensorSpec("x", "FP32", (-1, 3)),)
    assert (model.about.platform, model.about.batches) == ("pytorch_libtorch", True)
    assert model.run({"x": ROWS})["scores"].tobytes() == expected(module).tobytes()


@needs_torch
def test_a_scripted_model_without_a_card_takes_any_shape(tmp_path: Path) -> None:
    module = scripted(tmp_path)

    model = loaded(tmp_path)

    (spec,) = model.about.inputs
    assert (spec.datatype, spec.shape, model.about.batches, model.about.sample) == ("FP32", (), False, b"")
    assert model.run({spec.name: ROWS})["output"].tobytes() == expected(module).tobytes()


@needs_torch
def test_an_exported_model_says_what_it_takes(tmp_path: Path) -> None:
    module = exported(tmp_path)

    model = loaded(tmp_path)

    assert model.about.inputs == (TensorSpec("input", "FP32", (-1, 3)),)
    assert (model.about.platform, model.about.batches) == ("pytorch_exported", True)
    assert model.run({"input": ROWS})["output"].tobytes() == expected(module).tobytes()


@needs_torch
def test_arrays_that_lie_in_a_request_are_taken(tmp_path: Path) -> None:
    scripted(tmp_path)
    models.card(tmp_path, CARD)
    rows = np.frombuffer(ROWS.tobytes(), dtype=np.float32).reshape(2, 3)

    assert loaded(tmp_path).run({"x": rows})["scores"].shape == (2, 2)


@needs_torch
def test_weights_alone_are_no_model(tmp_path: Path) -> None:
    import torch

    torch.save(linear().state_dict(), tmp_path / "model.pt")

    error = refused(tmp_path)

    assert error.message.startswith("model.pt is no TorchScript: ")
    assert error.hint == "Save the model with torch.jit.save or torch.export.save; weights alone are no model."
    assert str(tmp_path) not in str(error)


@needs_torch
@pytest.mark.parametrize("name", ["model.pt", "model.pt2"])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, name: str) -> None:
    if name == "model.pt":
        scripted(tmp_path)
    else:
        exported(tmp_path)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])

    error = refused(tmp_path)

    assert error.message.startswith(name)
    assert "\n" not in error.message
    assert str(tmp_path) not in str(error)


@needs_torch
def test_a_card_of_other_inputs_is_refused(tmp_path: Path) -> None:
    scripted(tmp_path)
    models.card(tmp_path, "inputs: [{name: a}, {name: b}]\n")

    assert refused(tmp_path).message == "the card describes 2 inputs, and model.pt takes 1"


@needs_torch
def test_rows_that_it_cannot_take_fail_with_the_reason(tmp_path: Path) -> None:
    scripted(tmp_path)

    with pytest.raises(ModelFailed, match="the model failed: RuntimeError: "):
        loaded(tmp_path).run({"input": np.zeros((1, 5), np.float32)})


@needs_torch
def test_without_a_gpu_auto_takes_the_cpu_and_cuda_is_refused(tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("torch sees a GPU")
    scripted(tmp_path)

    assert loaded(tmp_path, Loading(provider="auto")).about.kind == "torch"
    assert refused(tmp_path, Loading(provider="cuda")).message == f"torch {torch.__version__} sees no GPU here"
