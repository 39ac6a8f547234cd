"""Models of scikit-learn, written by skops, or as pickles that somebody trusts."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from raykqi.domain.endpoint import Loading
from raykqi.errors import ModelFailed
from raykqi.serving.datatypes import as_bytes_array, datatype_of, numpy_of
from raykqi.serving.describing import described, zeros
from raykqi.serving.needing import need
from raykqi.serving.predictor import About, Card, Hooks, Tensors, TensorSpec
from raykqi.serving.user_code import attempt, reason_of

__all__ = ["SklearnModel", "load_pickle", "load_skops"]

INPUT = "x"
WHY = "to serve models of scikit-learn"


class SklearnModel:
    """`label` and, where there are, `probabilities` of classifiers; `output` of others."""

    def __init__(self, estimator: Any, about: About, hooks: Hooks) -> None:
        self._estimator = estimator
        self._has_classes = hasattr(estimator, "classes_")
        self._probabilities = getattr(estimator, "predict_proba", None) if self._has_classes else None
        self._predict = getattr(estimator, "predict", None) or estimator.transform
        self.about, self.hooks = about, hooks

    def run(self, inputs: Tensors) -> Tensors:
        columns = [_column(each) for each in inputs.values()]
        rows = columns[0] if len(columns) == 1 else np.column_stack(columns)
        with warnings.catch_warnings():
            # A model that was trained on named columns is asked in their order.
            warnings.filterwarnings("ignore", message="X does not have valid feature names")
            results = attempt("the model failed", lambda: self._results(rows))
        return {name: _as_array(result) for name, result in results.items()}

    def _results(self, rows: Any) -> dict[str, Any]:
        if not self._has_classes:
            return {"output": self._predict(rows)}
        results = {"label": self._predict(rows)}
        if self._probabilities is not None:
            probabilities = self._probabilities(rows)
            if not isinstance(probabilities, list):  # one for each of several targets
                results["probabilities"] = probabilities
        return results


def load_skops(file: Path, folder: Path, card: Card, loading: Loading, hooks: Hooks) -> SklearnModel:
    skops = need("skops.io", WHY)
    name = file.relative_to(folder).as_posix()
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # such as of a model of another version, for the log
        try:
            unknown = sorted(set(skops.get_untrusted_types(file=file)) - set(loading.trust))
            if not unknown:
                estimator = skops.load(file, trusted=list(loading.trust))
        except MemoryError:
            raise
        except Exception as error:
            raise ModelFailed(f"{name} cannot be loaded by skops: {reason_of(error)}") from error
    if unknown:
        raise ModelFailed(
            f"{name} holds types that are not trusted: {', '.join(unknown)}",
            hint=f"When you know who made it, say {' '.join(f'--trust {each}' for each in unknown)}.",
        )
    return _model("sklearn_skops", estimator, name, folder, card, hooks)


def load_pickle(file: Path, folder: Path, card: Card, hooks: Hooks) -> SklearnModel:
    """Runs whatever code is in it: only for those who said that they trust it."""
    name = file.relative_to(folder).as_posix()
    estimator = attempt(f"{name} cannot be loaded", lambda: _unpickled(file))
    return _model("sklearn_pickle", estimator, name, folder, card, hooks)


def _unpickled(file: Path) -> Any:
    if file.suffix == ".joblib":
        return need("joblib", "to load it").load(file)
    with file.open("rb") as opened:
        return pickle.load(opened)


def _model(platform: str, estimator: Any, name: str, folder: Path, card: Card, hooks: Hooks) -> SklearnModel:
    if not (hasattr(estimator, "predict") or hasattr(estimator, "transform")):
        raise ModelFailed(
            f"{name} holds a {type(estimator).__name__}, which has no method predict",
            hint="Save the fitted model or pipeline itself.",
        )
    inputs = _inputs(estimator, name, card)
    about = described(
        "sklearn",
        platform,
        folder=folder,
        card=card,
        inputs=inputs,
        labels=_labels(estimator),
        batches=all(spec.shape[:1] == (-1,) for spec in inputs),
        takes_zeros=hooks.preprocess is None,
    )
    model = SklearnModel(estimator, about, hooks)
    model.about = msgspec.structs.replace(about, outputs=_outputs(model) or card.outputs)
    return model


def _inputs(estimator: Any, name: str, card: Card) -> tuple[TensorSpec, ...]:
    """As the card says; else one table of numbers with the columns that the model was fitted with."""
    if card.inputs:
        return card.inputs
    features = getattr(estimator, "n_features_in_", None)
    if features is None:
        raise ModelFailed(
            f"{name} does not say how many features it takes",
            hint="Say it in model-card.yaml, as in `inputs: [{name: text, datatype: BYTES, shape: [-1]}]`.",
        )
    return (TensorSpec(INPUT, "FP64", (-1, int(features))),)


def _outputs(model: SklearnModel) -> tuple[TensorSpec, ...]:
    """What it gives for one row of zeros. A model that takes none, such as one of words, says nothing of them."""
    try:
        results = model.run(zeros(model.about))
    except ModelFailed:
        return ()
    return tuple(
        TensorSpec(name, datatype, (-1, *result.shape[1:]))
        for name, result in results.items()
        if (datatype := datatype_of(result.dtype))
    )


def _labels(estimator: Any) -> tuple[str, ...]:
    classes = getattr(estimator, "classes_", ())
    return () if isinstance(classes, list) else tuple(str(each) for each in classes)


def _column(tensor: Any) -> Any:
    if tensor.dtype != object:
        return tensor
    texts = [each.decode(errors="replace") if isinstance(each, bytes) else each for each in tensor.ravel().tolist()]
    made = np.empty(tensor.shape, dtype=object)
    made.ravel()[:] = texts
    return made


def _as_array(result: Any) -> Any:
    array = np.asarray(result.todense() if hasattr(result, "todense") else result)
    if array.dtype.kind in "OUS":
        return as_bytes_array(array)
    return np.ascontiguousarray(array) if datatype_of(array.dtype) else array.astype(numpy_of("FP64"))
