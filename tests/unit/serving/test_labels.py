"""Labels and scores out of outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from raykqi.serving.labels import Labelled, labels_of
from raykqi.serving.predictor import About, Card


def about(*labels: str, threshold: float | None = None) -> About:
    return About("onnx", "onnxruntime_onnx", card=Card(labels=labels, threshold=threshold))


def floats(*rows: Any) -> Any:
    return np.array(rows, np.float32)


def test_probabilities_are_scores_as_they_are() -> None:
    outputs = {"p": floats([0.25, 0.75], [0.5, 0.25])}

    assert labels_of(about("no", "yes"), outputs) == [Labelled("yes", 0.75), Labelled("no", 0.5)]


def test_other_values_become_probabilities() -> None:
    (row,) = labels_of(about("a", "b", "c"), {"logits": floats([1000.0, 1001.0, -5.0])}) or []

    assert row.label == "b"
    assert row.score == pytest.approx(1 / (1 + np.exp(-1)))


@pytest.mark.parametrize(("value", "label", "score"), [(0.75, "yes", 0.75), (0.25, "no", 0.75), (-4.0, "no", 0.982)])
def test_one_score_is_that_of_the_second_of_two_labels(value: float, label: str, score: float) -> None:
    for outputs in ({"p": floats([value])}, {"p": floats(value)}):
        (row,) = labels_of(about("no", "yes"), outputs) or []
        assert row.label == label
        assert row.score == pytest.approx(score, abs=1e-3)


def test_below_the_threshold_there_is_no_label() -> None:
    outputs = {"p": floats([0.25, 0.75], [0.5, 0.5])}

    assert labels_of(about("no", "yes", threshold=0.75), outputs) == [Labelled("yes", 0.75), Labelled(None, 0.5)]


def test_labels_of_the_model_come_with_the_scores_beside_them() -> None:
    outputs = {"label": np.array([b"cat", "dog"], object), "p": floats([0.75, 0.25], [0.125, 0.875])}

    assert labels_of(about(), outputs) == [Labelled("cat", 0.75), Labelled("dog", 0.875)]


def test_whole_numbers_alone_are_places_among_the_labels_of_the_card() -> None:
    assert labels_of(about("a", "b"), {"label": np.array([1, 0, 7])}) == [
        Labelled("b", None),
        Labelled("a", None),
        Labelled("7", None),
    ]


def test_where_nothing_says_what_they_are_there_are_none_or_places() -> None:
    outputs = {"y": floats([0.5, 2.5, 0.0])}

    assert labels_of(about(), outputs) is None
    assert [each.label for each in labels_of(about(), outputs, places=True) or []] == ["1"]
    assert labels_of(about(), {"y": floats([1.5])}, places=True) is None
    assert labels_of(about("a", "b", "c", "d"), outputs) is None
