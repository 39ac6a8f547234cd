"""Answers in pieces."""

from __future__ import annotations

import httpx
import pytest

from tests import models
from tests.integration.serving.fronts import TOKEN, Fronted, eventually

ENDLESS = """
import pathlib
class Predictor:
    def predict(self, inputs):
        return inputs
    def stream(self, inputs):
        if inputs == 'fails':
            raise ValueError('no words')
        mark = pathlib.Path({mark!r})
        mark.write_text('begun')
        try:
            number = 0
            while True:
                yield {{'number': number, 'filling': 'x' * 1000}}
                number += 1
                if inputs == 'three' and number == 3:
                    return
        finally:
            mark.write_text('closed')
"""


@pytest.fixture
def endless(front: Fronted) -> Fronted:
    model = models.custom(front.folder / "endless", body=ENDLESS.format(mark=str(front.folder / "mark"))).parent
    front.controller.show(front.revision(1, model))
    front.until_ready(1)
    return front


def test_pieces_come_as_lines_and_the_end_is_counted(endless: Fronted) -> None:
    answer = endless.client.post("/predict/stream", json={"inputs": "three"})

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["raykqi-revision"] == "1"
    assert [line[:12] for line in answer.text.splitlines()] == ['{"number":0,', '{"number":1,', '{"number":2,']
    eventually(lambda: endless.controller.counts(1).answers == 1)


def test_who_goes_away_ends_the_work_of_the_model(endless: Fronted) -> None:
    with httpx.stream(
        "POST",
        f"{endless.url}/predict/stream",
        json={"inputs": "endless"},
        headers={"authorization": f"Bearer {TOKEN}"},
        trust_env=False,
        timeout=30,
    ) as answer:
        first = next(answer.iter_lines())
        assert first.startswith('{"number":0')
        assert (endless.folder / "mark").read_text() == "begun"

    eventually(lambda: (endless.folder / "mark").read_text() == "closed", "the generator was closed")
    eventually(lambda: endless.replica.asking == 0)
    assert endless.client.post("/predict", json={"inputs": 1}).status_code == 200


def test_what_fails_before_the_first_piece_is_a_problem(endless: Fronted) -> None:
    answer = endless.client.post("/predict/stream", json={"inputs": "fails"})

    assert answer.status_code == 500
    assert "no words" in answer.json()["error"]
