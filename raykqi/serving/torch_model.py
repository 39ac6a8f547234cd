"""Models of PyTorch: TorchScript (torch.jit.save) and exported programs (torch.export.save)."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from raykqi.domain.endpoint import Provider
from raykqi.errors import ModelFailed
from raykqi.serving.datatypes import datatype_of
from raykqi.serving.describing import described
from raykqi.serving.joining import rows_are_apart
from raykqi.serving.needing import need
from raykqi.serving.predictor import About, Card, Hooks, Tensors, TensorSpec
from raykqi.serving.user_code import attempt, reason_of

__all__ = ["TorchModel", "load_torch"]

DEFAULT = "output"
HOW_TO_SAVE = "Save the model with torch.jit.save or torch.export.save; weights alone are no model."


class TorchModel:
    def __init__(self, torch: Any, module: Any, device: str, about: About, hooks: Hooks) -> None:
        self._torch, self._module, self._device = torch, module, device
        self._takes = [spec.name for spec in about.inputs]
        self._gives = [spec.name for spec in about.outputs]
        self.about, self.hooks = about, hooks

    def run(self, inputs: Tensors) -> Tensors:
        return attempt("the model failed", lambda: self._run(inputs))  # type: ignore[no-any-return]

    def _run(self, inputs: Tensors) -> Tensors:
        torch = self._torch
        # torch warns of arrays that must not be written to, as those are that lie in the bytes of a request.
        given = [torch.from_numpy(np.require(inputs[name], requirements=("C", "W"))) for name in self._takes]
        with torch.inference_mode():
            results = self._module(*(each.to(self._device) for each in given))
        return {name: each.detach().cpu().numpy() for name, each in _named(results, self._gives).items()}


def load_torch(file: Path, folder: Path, card: Card, provider: Provider, threads: int, hooks: Hooks) -> TorchModel:
    torch = need("torch", "to serve models of PyTorch")
    name = file.relative_to(folder).as_posix()
    torch.set_num_threads(max(1, threads))
    device = _device(torch, provider)
    if _is_exported(file):
        module, own = _exported(torch, file, name, device)
    else:
        module, own = _scripted(torch, file, name, device)
    inputs = card.inputs or own
    if not inputs:
        raise ModelFailed(
            f"{name} does not say what it takes",
            hint="Describe it in model-card.yaml, as in `inputs: [{name: x, datatype: FP32, shape: [-1, 4]}]`.",
        )
    if own and len(inputs) != len(own):
        raise ModelFailed(f"the card describes {len(inputs)} inputs, and {name} takes {len(own)}")
    about = described(
        "torch",
        "pytorch_exported" if _is_exported(file) else "pytorch_libtorch",
        folder=folder,
        card=card,
        inputs=inputs,
        outputs=card.outputs,
        batches=all(spec.shape[:1] == (-1,) for spec in inputs),
        takes_zeros=hooks.preprocess is None and all(spec.shape for spec in inputs),
    )
    model = TorchModel(torch, module, device, about, hooks)
    if about.batches and card.batches is None and rows_are_apart(model) is False:
        model.about = msgspec.structs.replace(about, batches=False)
    return model


def _device(torch: Any, provider: Provider) -> str:
    if provider == "cpu":
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    if provider == "cuda":
        raise ModelFailed(
            f"torch {torch.__version__} sees no GPU here",
            hint="Give the endpoint a GPU with --gpu, on nodes with a torch that is built for CUDA.",
        )
    return "cpu"


def _is_exported(file: Path) -> bool:
    """Both kinds are zip archives; only an exported program holds a description of its graph."""
    if file.suffix == ".pt2":
        return True
    try:
        with zipfile.ZipFile(file) as archive:
            return any(
                name.endswith(("serialized_exported_program.json", "models/model.json")) for name in archive.namelist()
            )
    except (OSError, zipfile.BadZipFile):
        return False


def _scripted(torch: Any, file: Path, name: str, device: str) -> tuple[Any, tuple[TensorSpec, ...]]:
    """Its inputs have names, but neither datatypes nor shapes."""
    try:
        module = torch.jit.load(str(file), map_location=device).eval()
    except (RuntimeError, ValueError, OSError) as error:
        reason = str(error).partition("\n")[0].partition(". ")[0]
        raise ModelFailed(
            f"{name} is no TorchScript: {reason}",
            hint=HOW_TO_SAVE,
        ) from error
    arguments = [each for each in module.forward.schema.arguments if each.name != "self"]
    wanted = [each for each in arguments if str(each.type) == "Tensor" and not each.has_default_value()]
    return module, tuple(TensorSpec(each.name, "FP32", ()) for each in wanted)


def _exported(torch: Any, file: Path, name: str, device: str) -> tuple[Any, tuple[TensorSpec, ...]]:
    try:
        with file.open("rb") as opened:  # as by its name torch takes *.pt2 alone
            program = torch.export.load(io.BytesIO(opened.read()))
    except MemoryError:
        raise
    except Exception as error:
        raise ModelFailed(f"{name} is no exported program: {reason_of(error)[:200]}", hint=HOW_TO_SAVE) from error
    names = program.graph_signature.user_inputs
    fakes = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
    specs = tuple(_spec(each, fakes.get(each)) for each in names if isinstance(each, str))
    return program.module().to(device), tuple(spec for spec in specs if spec)


def _spec(name: str, fake: Any) -> TensorSpec | None:
    if fake is None or not hasattr(fake, "shape"):
        return None
    datatype = datatype_of(np.dtype(str(fake.dtype).removeprefix("torch.")))
    shape = tuple(length if isinstance(length, int) else -1 for length in fake.shape)
    return TensorSpec(name, datatype or "FP32", shape)


def _named(results: Any, names: list[str]) -> dict[str, Any]:
    """By the names of the card, else those that the model gives, else numbers."""
    if isinstance(results, dict):
        return {str(name): each for name, each in results.items()}
    listed = list(results) if isinstance(results, list | tuple) else [results]
    if len(names) == len(listed):
        return dict(zip(names, listed, strict=True))
    return {DEFAULT: listed[0]} if len(listed) == 1 else {f"{DEFAULT}_{at}": each for at, each in enumerate(listed)}
