"""Which model a folder holds, and what is said when that is not clear."""

from __future__ import annotations

from pathlib import Path

import pytest

from raykqi.domain.endpoint import Loading
from raykqi.errors import ModelFailed
from raykqi.serving.finding import Found, find
from raykqi.serving.predictor import Card


def holding(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"-")
    return folder


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("model.onnx", "onnx"),
        ("MODEL.ONNX", "onnx"),
        ("export/1/model.onnx", "onnx"),
        ("model.skops", "skops"),
        ("model.pt", "torch"),
        ("model.pt2", "torch"),
        ("model.torchscript", "torch"),
    ],
)
def test_the_one_file_that_a_loader_knows_is_the_model(tmp_path: Path, name: str, kind: str) -> None:
    model = holding(tmp_path, name, "metrics.json", "notes/readme.md", ".cache/other.onnx")

    found = find(model, None, Loading(), Card())

    assert (found.format, found.file) == (kind, tmp_path / name)


def test_weights_beside_an_onnx_file_are_no_other_model(tmp_path: Path) -> None:
    model = holding(tmp_path, "model.onnx", "model.onnx.data", "weights.bin")

    assert find(model, None, Loading(), Card()) == Found("onnx", tmp_path / "model.onnx")


def test_a_class_of_the_user_is_the_way_to_the_model_beside_it(tmp_path: Path) -> None:
    model = holding(tmp_path, "predictor.py", "weights.pt")

    assert find(model, None, Loading(), Card()) == Found("class", tmp_path / "predictor.py", "Predictor")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "the data holds no model: it is empty"),
        (("metrics.json", "log.txt"), "the data holds no model, but log.txt, metrics.json"),
        (("a.onnx", "sub/b.skops"), "the data holds 2 models: a.onnx, sub/b.skops"),
        (("src/predictor.py",), "the data holds no model, but src/predictor.py"),
    ],
)
def test_no_model_and_two_are_refused_by_what_was_found(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(ModelFailed) as raised:
        find(holding(tmp_path, *names), None, Loading(), Card())

    assert raised.value.message == message


def test_the_card_chooses_between_several(tmp_path: Path) -> None:
    model = holding(tmp_path, "a.onnx", "sub/b.skops")

    assert find(model, None, Loading(), Card(model="sub/b.skops")) == Found("skops", tmp_path / "sub/b.skops")


@pytest.mark.parametrize("name", ["c.onnx", "../a.onnx", "sub"])
def test_a_card_that_names_a_model_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    model = holding(tmp_path / "model", "sub/b.onnx")
    holding(tmp_path, "a.onnx")

    with pytest.raises(ModelFailed, match="which the data does not hold"):
        find(model, None, Loading(), Card(model=name))


@pytest.mark.parametrize("name", ["model.pkl", "model.joblib", "model.pickle"])
def test_a_pickle_is_a_model_for_those_who_trust_it(tmp_path: Path, name: str) -> None:
    model = holding(tmp_path, name)

    with pytest.raises(ModelFailed) as raised:
        find(model, None, Loading(), Card())

    assert raised.value.message == f"{name} is a pickle, and loading one runs whatever code is in it"
    assert "skops" in raised.value.hint
    assert "--trust-pickle" in raised.value.hint
    assert find(model, None, Loading(trust_pickle=True), Card()) == Found("pickle", tmp_path / name)


def test_a_named_class_is_looked_for_in_the_model_and_then_in_the_code(tmp_path: Path) -> None:
    model = holding(tmp_path / "model", "model.onnx", "own.py")
    code = holding(tmp_path / "code", "own.py", "lib/serve.py")

    in_model = find(model, code, Loading(predictor="own.py:Digits"), Card())
    in_code = find(model, code, Loading(predictor="lib/serve.py"), Card())

    assert in_model == Found("class", model / "own.py", "Digits")
    assert in_code == Found("class", code / "lib/serve.py", "Predictor")


def test_what_is_said_at_deployment_goes_before_the_card(tmp_path: Path) -> None:
    model = holding(tmp_path, "a.py", "b.py")

    found = find(model, None, Loading(predictor="a.py:A"), Card(predictor="b.py:B"))

    assert found == Found("class", tmp_path / "a.py", "A")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("own:Digits", "'own:Digits' names no predictor"),
        ("own.py:not a name", "'own.py:not a name' names no predictor"),
        ("other.py:A", "there is no other.py in the model's data and the plan that made it has no code"),
        ("../own.py:A", "there is no ../own.py in the model's data and the plan that made it has no code"),
    ],
)
def test_a_class_that_is_not_there_is_refused(tmp_path: Path, text: str, message: str) -> None:
    model = holding(tmp_path / "model", "own.py")
    holding(tmp_path, "own.py")

    with pytest.raises(ModelFailed) as raised:
        find(model, None, Loading(predictor=text), Card())

    assert raised.value.message == message
