"""The model card: what may stand in the file, what tags say instead, and what is said of a broken one."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from raykqi.errors import ModelFailed
from raykqi.serving.card import read_card
from raykqi.serving.predictor import Card, ImageCard, TensorSpec
from tests import models


def test_a_card_says_all_that_people_say_of_a_model(tmp_path: Path) -> None:
    models.card(
        tmp_path,
        """
        title: digits
        description: handwritten ones
        model: model.onnx
        inputs: [{name: x, datatype: FP32, shape: [-1, 4]}]
        outputs: [{name: y}]
        labels: [no, yes, on, off, 3, 2026-01-01]
        sample: {inputs: {x: [[1, 2, 3, 4]]}}
        metrics: {accuracy: 0.97, epochs: 3}
        threshold: 0.5
        image: {size: [28, 28], mode: L, layout: NCHW, mean: [0.5], std: [0.5]}
        allow_nan: true
        """,
    )

    assert read_card(tmp_path) == Card(
        title="digits",
        description="handwritten ones",
        model="model.onnx",
        inputs=(TensorSpec("x", "FP32", (-1, 4)),),
        outputs=(TensorSpec("y"),),
        labels=("no", "yes", "on", "off", "3", "2026-01-01"),
        sample={"inputs": {"x": [[1, 2, 3, 4]]}},
        metrics={"accuracy": 0.97, "epochs": 3.0},
        threshold=0.5,
        image=ImageCard(size=(28, 28), mode="L", layout="NCHW", mean=(0.5,), std=(0.5,)),
        allow_nan=True,
    )


def test_a_card_may_be_json_and_lie_beside_the_model(tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    (tmp_path / "export/model-card.json").write_text('{"title": "digits"}')

    assert read_card(tmp_path) == Card(title="digits")


def test_labels_may_be_numbered(tmp_path: Path) -> None:
    models.card(tmp_path, "labels: {0: cat, 1: dog}\n")

    assert read_card(tmp_path).labels == ("cat", "dog")


def test_without_a_card_or_with_an_empty_one_nothing_is_said(tmp_path: Path) -> None:
    assert read_card(tmp_path) == Card()

    models.card(tmp_path, "title:\n")
    assert read_card(tmp_path) == Card()


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("titel: x", "model-card.yaml has the key 'titel', which cards do not have", "Is 'title' meant?"),
        ("threshold: high", "model-card.yaml is not right at threshold: Expected `float | null`, got `str`", ""),
        ("threshold: 2", "model-card.yaml: threshold of 2.0 is none: give 0 to 1", ""),
        ("metrics: {loss: .nan}", "model-card.yaml: the metric loss is no number", ""),
        ("- title", "model-card.yaml is no mapping", "Write lines of `key: value`, as in `title: digits`."),
        ("a: [", "model-card.yaml cannot be read: ", ""),
        ("image: {size: [0, 5]}", "model-card.yaml: image.size of [0, 5] is not possible", ""),
        ("image: {std: [0.0]}", "model-card.yaml: image.std holds 0, by which nothing can be divided", ""),
        ("inputs: [{name: x, shape: [-2]}]", "model-card.yaml: a shape holds a length below -1", ""),
        ("inputs: [{name: x, type: FP32}]", "model-card.yaml is not right at inputs[0]: Object contains unknown", ""),
        (
            "inputs: [{name: x, datatype: F32}]",
            "model-card.yaml is not right at inputs[0].datatype: Invalid enum",
            "",
        ),
        ("labels: [[a]]", "model-card.yaml has a label that is no text: ['a']", ""),
    ],
)
def test_a_broken_card_is_refused_by_its_mistake(tmp_path: Path, text: str, message: str, hint: str) -> None:
    models.card(tmp_path, text + "\n")

    with pytest.raises(ModelFailed) as raised:
        read_card(tmp_path)

    assert raised.value.message.startswith(message)
    assert raised.value.hint == hint or not hint


def test_bytes_that_are_no_text_and_two_cards_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model-card.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ModelFailed, match="is no text in UTF-8"):
        read_card(tmp_path)

    (tmp_path / "model-card.json").write_text("{}")
    with pytest.raises(ModelFailed, match=r"holds 2 model cards: model-card.yaml, model-card.json"):
        read_card(tmp_path)


def test_tags_of_the_data_go_before_the_file(tmp_path: Path) -> None:
    models.card(tmp_path, "title: digits\nlabels: [a, b]\nmetrics: {accuracy: 0.9, loss: 0.3}\n")

    card = read_card(
        tmp_path,
        (
            "type:model",
            "card.title:numbers: from 0 to 9",
            "card.labels:zero, one,two",
            "card.threshold:0.6",
            "card.metric.accuracy:0.97",
            "card.image.size:28x14",
            "card.image.mode:L",
            "card.allow_nan:true",
            "card.sample:[[1, 2]]",
        ),
    )

    assert card == Card(
        title="numbers: from 0 to 9",
        labels=("zero", "one", "two"),
        threshold=0.6,
        metrics={"accuracy": 0.97, "loss": 0.3},
        image=ImageCard(size=(28, 14), mode="L"),
        allow_nan=True,
        sample=[[1, 2]],
    )


@pytest.mark.parametrize(
    "tag",
    [
        "card.threshold:0,6",
        "card.threshold:7",
        "card.colour:red",
        "card.image.mode:CMYK",
        "card.image.size:big",
        "card.image.depth:3",
        "card.metric.accuracy:nan",
        "card.allow_nan:perhaps",
        "card.sample:[1,",
    ],
)
def test_a_tag_that_cannot_be_used_is_told_and_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, tag: str
) -> None:
    with caplog.at_level(logging.WARNING):
        card = read_card(tmp_path, (tag, "card.title:digits"))

    assert card == Card(title="digits")
    assert f"the tag {tag} is not used for the card" in caplog.text
