"""Labels and scores out of what a classifier gives.

An output whose last axis has one place for each label of the card is taken; without labels in the card, the labels that
the model gives beside its probabilities, or else the number of the place. Values that are not all between 0 and 1 are
no probabilities: a softmax makes some of them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from raykqi.serving.predictor import About, Tensors

__all__ = ["Labelled", "labels_of"]


class Labelled(NamedTuple):
    """`label` is None below the threshold of the card."""

    label: str | None
    score: float | None


def labels_of(about: About, outputs: Tensors, *, places: bool = False) -> list[Labelled] | None:
    """One for each row; None where nothing says what they would be. `places`: numbers will do."""
    scores = _scores(about, outputs)
    given = next((each for each in outputs.values() if _is_labels(each, outputs)), None)
    names: tuple[str, ...] = about.card.labels
    threshold = about.card.threshold
    if scores is None:
        return None if given is None else [Labelled(_text(each, names), None) for each in given.ravel()]
    if not names and given is None and not places:
        return None
    rows = []
    for at, row in enumerate(_probabilities(scores)):
        best = int(np.argmax(row))
        score = float(row[best])
        if names:
            label: str = names[best] if best < len(names) else str(best)
        else:
            label = str(best) if given is None else _text(given.ravel()[at], ())
        rows.append(Labelled(None if threshold is not None and score < threshold else label, score))
    return rows


def _scores(about: About, outputs: Tensors) -> Any:
    """Rows of one score for each class."""
    floats = [each for each in outputs.values() if each.dtype.kind == "f" and each.ndim >= 1]
    wanted = len(about.card.labels)
    if wanted:
        for each in floats:
            if each.shape[-1] == wanted and each.ndim <= 2:
                return each.reshape(-1, wanted)
        if wanted == 2:
            for each in floats:
                if each.ndim == 1 or each.shape[1:] == (1,):  # of two classes, the score of the second
                    second = _between(each.reshape(-1, 1).astype(np.float64))
                    return np.hstack([1 - second, second])
        return None
    fitting = [each for each in floats if each.ndim == 2 and each.shape[1] > 1]
    return fitting[0] if len(fitting) == 1 else None


def _is_labels(array: Any, outputs: Tensors) -> bool:
    """Texts or whole numbers, one for each row, beside something else or alone."""
    rows = {each.shape[0] for each in outputs.values() if each.ndim}
    return array.dtype.kind in "OiuUS" and array.ndim >= 1 and array.size == array.shape[0] and len(rows) == 1


def _probabilities(scores: Any) -> Any:
    values = scores.astype(np.float64)
    if ((values >= 0) & (values <= 1)).all():
        return values
    raised = np.exp(values - values.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def _between(values: Any) -> Any:
    if ((values >= 0) & (values <= 1)).all():
        return values
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-values))


def _text(value: Any, names: tuple[str, ...]) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if names and isinstance(value, int | np.integer) and 0 <= int(value) < len(names):
        return names[int(value)]
    return str(value)
