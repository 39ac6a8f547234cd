"""Models of scikit-learn: labels and probabilities, and which files are loaded at all."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline

from raykqi.domain.endpoint import Loading
from raykqi.errors import ModelFailed
from raykqi.serving.loading import load
from raykqi.serving.predictor import TensorPredictor, TensorSpec
from tests import models

PLAIN = Loading()
FEATURES = np.random.default_rng(0).normal(size=(40, 3))
ROWS = {"x": np.array([[2.0, 0, 0], [-2.0, 0, 0]])}


def loaded(folder: Path, loading: Loading = PLAIN) -> TensorPredictor:
    return load(folder, None, loading, 1)  # type: ignore[return-value]


def refused(folder: Path, loading: Loading = PLAIN) -> ModelFailed:
    with pytest.raises(ModelFailed) as raised:
        load(folder, None, loading, 1)
    return raised.value


def saved(folder: Path, estimator: Any) -> Path:
    skops.io.dump(estimator, folder / "model.skops")
    return folder


def test_a_classifier_gives_labels_and_probabilities(tmp_path: Path) -> None:
    models.classifier(tmp_path)
    model = loaded(tmp_path)

    answered = model.run(ROWS)

    assert model.about.inputs == (TensorSpec("x", "FP64", (-1, 3)),)
    assert model.about.outputs == (TensorSpec("label", "BYTES", (-1,)), TensorSpec("probabilities", "FP64", (-1, 2)))
    assert model.about.card.labels == ("no", "yes")
    assert model.about.batches
    assert answered["label"].tolist() == [b"yes", b"no"]
    assert answered["probabilities"].argmax(axis=1).tolist() == [1, 0]


def test_labels_that_are_numbers_stay_numbers(tmp_path: Path) -> None:
    models.classifier(tmp_path, labels=(3, 8))
    model = loaded(tmp_path)

    assert model.about.outputs[0] == TensorSpec("label", "INT64", (-1,))
    assert model.about.card.labels == ("3", "8")
    assert model.run(ROWS)["label"].tolist() == [8, 3]


def test_a_regressor_gives_its_output(tmp_path: Path) -> None:
    saved(tmp_path, LinearRegression().fit(FEATURES, FEATURES @ [1.0, 2.0, 3.0]))
    model = loaded(tmp_path)

    assert model.about.outputs == (TensorSpec("output", "FP64", (-1,)),)
    assert model.run({"x": np.array([[1.0, 1.0, 1.0]])})["output"].round(6).tolist() == [6.0]


def test_a_card_describes_a_model_of_texts(tmp_path: Path) -> None:
    words = make_pipeline(CountVectorizer(), LogisticRegression()).fit(["good", "bad", "good good"], [1, 0, 1])
    saved(tmp_path, words)
    assert refused(tmp_path).message == "model.skops does not say how many features it takes"

    models.card(tmp_path, "inputs: [{name: text, datatype: BYTES, shape: [-1]}]\n")
    model = loaded(tmp_path)

    assert model.run({"text": np.array([b"good", b"bad"], dtype=object)})["label"].tolist() == [1, 0]


def test_a_model_of_named_columns_is_asked_without_them_in_silence(tmp_path: Path) -> None:
    estimator = LogisticRegression().fit(FEATURES, FEATURES[:, 0] > 0)
    estimator.feature_names_in_ = np.array(["a", "b", "c"], dtype=object)
    saved(tmp_path, estimator)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert loaded(tmp_path).run(ROWS)["label"].tolist() == [True, False]


def test_types_that_nobody_trusts_are_named(tmp_path: Path) -> None:
    saved(tmp_path, RandomForestClassifier(n_estimators=2, random_state=0).fit(FEATURES, FEATURES[:, 0] > 0))

    error = refused(tmp_path)

    assert error.message == "model.skops holds types that are not trusted: sklearn.tree._tree.Tree"
    assert error.hint == "When you know who made it, say --trust sklearn.tree._tree.Tree."
    assert loaded(tmp_path, Loading(trust=("sklearn.tree._tree.Tree",))).run(ROWS)["label"].tolist() == [True, False]


def test_a_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    path = models.classifier(tmp_path)
    path.write_bytes(path.read_bytes()[:100])

    assert refused(tmp_path).message == "model.skops cannot be loaded by skops: BadZipFile: File is not a zip file"


def test_a_pickle_runs_only_for_those_who_trust_it(tmp_path: Path) -> None:
    models.pickled(tmp_path)

    assert "runs whatever code is in it" in refused(tmp_path).message
    assert loaded(tmp_path, Loading(trust_pickle=True)).run(ROWS)["label"].tolist() == [b"yes", b"no"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no pickle", "model.pkl cannot be loaded: UnpicklingError: "),
        (pickle.dumps({"weights": 1}), "model.pkl holds a dict, which has no method predict"),
        (b"cnowhere\nThing\n.", "model.pkl cannot be loaded: ModuleNotFoundError: No module named 'nowhere'"),
    ],
)
def test_a_pickle_of_something_else_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "model.pkl").write_bytes(content)

    assert refused(tmp_path, Loading(trust_pickle=True)).message.startswith(message)


def test_rows_that_it_cannot_take_fail_with_the_reason(tmp_path: Path) -> None:
    models.classifier(tmp_path)

    with pytest.raises(ModelFailed, match="the model failed: ValueError: X has 2 features"):
        loaded(tmp_path).run({"x": np.zeros((1, 2))})
