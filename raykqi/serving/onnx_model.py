"""Models of onnxruntime: what they take and give is read from the file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from raykqi.domain.endpoint import Provider
from raykqi.errors import ModelFailed, WrongInputs
from raykqi.serving.datatypes import as_bytes_array
from raykqi.serving.describing import described, merged
from raykqi.serving.joining import rows_are_apart
from raykqi.serving.needing import need
from raykqi.serving.predictor import About, Card, Datatype, Hooks, Tensors, TensorSpec

__all__ = ["OnnxModel", "load_onnx"]

DATATYPES: dict[str, Datatype] = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}
ZIPPED = re.compile(r"seq\(map\(.*,tensor\(float\)\)\)\Z")  # probabilities as converters of scikit-learn write them
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
_CODE = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")
_FAILED = re.compile(r"^Load model from .*? failed: ?")
_SIGNATURE = re.compile(r"^/?\S+\.(?:cc|h):\d+ .*?\) (?=[A-Z\"])", re.DOTALL)
_OPSET = re.compile(r"Opset (\d+) is under development.*official support for domain (\S+) is till opset (\d+)")
_OPERATOR = re.compile(r"(\S+?):(\S+?)\(-?\d+\) is not a registered function/op")
_IR = re.compile(r"Unsupported model IR version: (\d+), max supported IR version: (\d+)")
_EXTERNAL = re.compile(r"External data path (?:does not exist|validation failed)[^\"]*(?:\"(?P<path>[^\"]+)\")?")


class Dimensions(NamedTuple):
    """A spec with the names that the file gives to lengths."""

    spec: TensorSpec
    first: Any


class OnnxModel:
    def __init__(self, session: Any, about: About, hooks: Hooks) -> None:
        self._session = session
        self._names = [spec.name for spec in about.outputs]
        self._texts = {spec.name for spec in about.inputs if spec.datatype == "BYTES"}
        self.about, self.hooks = about, hooks

    def run(self, inputs: Tensors) -> Tensors:
        if self._texts:
            inputs = {name: _as_texts(name, each) if name in self._texts else each for name, each in inputs.items()}
        try:
            results = self._session.run(self._names, inputs)
        except Exception as error:
            raise ModelFailed(f"the model failed: {_reason(error)}") from error
        return {name: _as_array(result) for name, result in zip(self._names, results, strict=True)}


def load_onnx(file: Path, folder: Path, card: Card, provider: Provider, threads: int, hooks: Hooks) -> OnnxModel:
    ort = need("onnxruntime", "to serve ONNX models")
    session = _session(ort, file, folder, provider, threads)
    inputs = [_dimensions(each, "input") for each in session.get_inputs()]
    outputs = [_dimensions(each, "output") for each in session.get_outputs()]
    meta = session.get_modelmeta()
    about = described(
        "onnx",
        "onnxruntime_onnx",
        folder=folder,
        card=card,
        inputs=merged(tuple(each.spec for each in inputs), card.inputs, "input"),
        outputs=merged(tuple(each.spec for each in outputs), card.outputs, "output"),
        labels=_labels(meta.custom_metadata_map),
        description=meta.description,
        takes_zeros=hooks.preprocess is None,
    )
    model = OnnxModel(session, about, hooks)
    if card.batches is None and _may_batch(inputs, outputs):
        is_said = isinstance(inputs[0].first, str) and all(each.first == inputs[0].first for each in outputs)
        are_apart = rows_are_apart(model)
        model.about = msgspec.structs.replace(about, batches=is_said if are_apart is None else are_apart)
    return model


def _session(ort: Any, file: Path, folder: Path, provider: Provider, threads: int) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = max(1, threads)
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised, and told once
    # Threads that wait by spinning take the cores of others on the node.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = _providers(ort, provider)
    try:
        session = ort.InferenceSession(str(file), options, providers=providers)
    except MemoryError:
        raise
    except Exception as error:
        raise _failed(error, file, folder, ort.__version__) from error
    if provider == "cuda" and CUDA not in session.get_providers():
        raise ModelFailed(
            "onnxruntime could not use CUDA here",
            hint="It needs the driver, CUDA and cuDNN of its version, and a GPU: give the endpoint one with --gpu.",
        )
    return session


def _providers(ort: Any, provider: Provider) -> list[str]:
    available = ort.get_available_providers()
    if provider == "cpu" or (provider == "auto" and CUDA not in available):
        return [CPU]
    if CUDA not in available:
        raise ModelFailed(
            f"the onnxruntime {ort.__version__} that is installed cannot use CUDA",
            hint="Install onnxruntime-gpu in its place on the nodes with GPUs, or say --provider auto.",
        )
    if hasattr(ort, "preload_dlls"):
        ort.preload_dlls()
    return [CUDA, CPU]


def _dimensions(each: Any, what: str) -> Dimensions:
    if what == "output" and ZIPPED.match(each.type):
        return Dimensions(TensorSpec(each.name, "FP32", (-1, -1)), None)
    datatype = DATATYPES.get(each.type)
    if datatype is None:
        raise ModelFailed(f"the {what} {each.name!r} of the model is of type {each.type}, which cannot be served")
    shape = tuple(length if isinstance(length, int) and length >= 0 else -1 for length in each.shape)
    return Dimensions(TensorSpec(each.name, datatype, shape), each.shape[0] if each.shape else 0)


def _may_batch(inputs: list[Dimensions], outputs: list[Dimensions]) -> bool:
    """Where all first lengths are open, and those of the inputs the same."""
    is_open = all(each.spec.shape[:1] == (-1,) for each in (*inputs, *outputs))
    return bool(inputs) and is_open and len({each.first for each in inputs}) == 1


def _labels(metadata: dict[str, str]) -> tuple[str, ...]:
    """Where an exporter left them: a list under `labels` or `classes`."""
    for key in ("labels", "classes"):
        try:
            return tuple(msgspec.json.decode(metadata.get(key, ""), type=list[str]))
        except msgspec.DecodeError:
            continue
    return ()


def _as_texts(name: str, tensor: Any) -> Any:
    try:
        texts = [each.decode() if isinstance(each, bytes) else str(each) for each in tensor.ravel().tolist()]
    except UnicodeDecodeError as error:
        raise WrongInputs(f"input {name!r} holds bytes that are no text in UTF-8") from error
    made = np.empty(tensor.shape, dtype=object)
    made.ravel()[:] = texts
    return made


def _as_array(result: Any) -> Any:
    if isinstance(result, list):  # maps of probabilities, one for each row
        return np.array([list(row.values()) for row in result], dtype=np.float32)
    array = np.asarray(result)
    return as_bytes_array(array) if array.dtype.kind in "OUS" else array


def _failed(error: Exception, file: Path, folder: Path, version: str) -> ModelFailed:
    name, text = file.relative_to(folder).as_posix(), str(error)
    if found := _OPSET.search(text):
        return ModelFailed(
            f"{name} uses opset {found[1]}, and onnxruntime {version} knows those up to {found[3]}",
            hint="Export the model with an older opset, or install a newer onnxruntime.",
        )
    if found := _IR.search(text):
        return ModelFailed(
            f"{name} is of format version {found[1]}, and onnxruntime {version} knows those up to {found[2]}",
            hint="Export the model with an older onnx, or install a newer onnxruntime.",
        )
    if found := _OPERATOR.search(text):
        return ModelFailed(
            f"{name} uses the operator {found[1]}:{found[2]}, which onnxruntime {version} does not have",
            hint="Export the model with standard operators; those of others cannot be loaded.",
        )
    if found := _EXTERNAL.search(text):
        lacking = Path(found["path"]).name if found["path"] else "a file of weights"
        return ModelFailed(
            f"{name} keeps its weights in {lacking}, which the data does not hold beside it",
            hint="Push the folder with all files that the export wrote.",
        )
    if "INVALID_PROTOBUF" in text or "No graph was found" in text:
        return ModelFailed(f"{name} is no ONNX model, or is cut short", hint="Export it again.")
    return ModelFailed(f"{name} cannot be loaded: {_reason(error).replace(f'{folder}/', '')}")


def _reason(error: Exception) -> str:
    """What onnxruntime said, on one line and without places in its own source."""
    text = " ".join(str(error).split())
    for noise in (_CODE, _FAILED, _SIGNATURE):
        text = noise.sub("", text)
    return text[:500]
