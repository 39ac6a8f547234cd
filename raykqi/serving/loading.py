"""The one way from the folder of a model to a predictor."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from raykqi.domain.endpoint import Loading
from raykqi.serving.card import read_card
from raykqi.serving.finding import Found, find
from raykqi.serving.hooks import load_hooks
from raykqi.serving.images import plan_of
from raykqi.serving.predictor import Card, Hooks, Predictor

__all__ = ["load"]


def load(model: Path, code: Path | None, loading: Loading, threads: int, *, tags: Iterable[str] = ()) -> Predictor:
    """`code` is the folder of the plan that made the model, `tags` are those of its data. Raises `ModelFailed`."""
    model = model.resolve()
    card = read_card(model, tags)
    found = find(model, code, loading, card)
    hooks = load_hooks((found.file.parent, model, code))
    predictor = _loaded(found, model, loading, threads, card, hooks)
    if card.image and predictor.about.is_tensor:
        plan_of(predictor.about)  # a card that contradicts the model is told now
    return predictor


def _loaded(found: Found, model: Path, loading: Loading, threads: int, card: Card, hooks: Hooks) -> Predictor:
    if found.format == "class":
        from raykqi.serving.python_model import load_class

        return load_class(found.file, found.name, model, card, hooks)
    if found.format == "onnx":
        from raykqi.serving.onnx_model import load_onnx

        return load_onnx(found.file, model, card, loading.provider, threads, hooks)
    if found.format == "torch":
        from raykqi.serving.torch_model import load_torch

        return load_torch(found.file, model, card, loading.provider, threads, hooks)
    from raykqi.serving import sklearn_model

    if found.format == "skops":
        return sklearn_model.load_skops(found.file, model, card, loading, hooks)
    return sklearn_model.load_pickle(found.file, model, card, hooks)
