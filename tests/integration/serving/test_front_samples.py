"""Samples of requests as data: which, with what in them, and that they cost requests nothing."""

from __future__ import annotations

import json
from typing import Any

import httpx
import msgspec
import pytest

from raykqi.domain.data import Data
from raykqi.domain.endpoint import Sampling
from raykqi.domain.tags import Tag
from tests import models
from tests.integration.serving.fronts import Fronted, eventually, spec

WORDS = "class Predictor:\n    def predict(self, inputs):\n        return {'said': inputs, 'secret': 'x'}\n"


@pytest.fixture
def words(front: Fronted) -> Fronted:
    models.custom(front.folder / "words", body=WORDS)
    return front


def serve(front: Fronted, **sampling: Any) -> str:
    """The id of the model."""
    wanted = front.revision(4, front.folder / "words")
    front.controller.show(wanted, spec=spec(sampling=Sampling(**sampling)))
    front.until_ready(4)
    return wanted.data


def ask(front: Fronted, inputs: object, **more: Any) -> httpx.Response:
    answer = front.client.post("/predict", json={"inputs": inputs}, **more)
    assert answer.status_code == 200, answer.text
    return answer


def samples(front: Fronted) -> list[Data]:
    return list(front.workspace.find("type:sample"))


def lines(front: Fronted, data: Data) -> list[dict[str, Any]]:
    text = b"".join(front.workspace.cat(data, "samples.jsonl"))
    return [json.loads(line) for line in text.splitlines()]


def test_every_second_request_becomes_a_line_of_data_made_of_the_model(words: Fronted) -> None:
    model = serve(words, share=0.5, rows=3, tags=(Tag("for", "retraining"),))

    for number in range(6):
        ask(words, number, headers={"x-secret": "header"})

    [data] = eventually(lambda: samples(words), "samples were recorded")
    assert {str(tag) for tag in data.tags} >= {"type:sample", "endpoint:digits", "for:retraining"}
    assert data.upstream.plan == "raykqi#served"
    assert [each.data for each in words.workspace.run(data.upstream.run).inputs] == [model]
    found = lines(words, data)
    assert [each["request"] for each in found] == [{"inputs": 1}, {"inputs": 3}, {"inputs": 5}]
    assert found[0].keys() == {"time", "revision", "data", "latency", "status", "request", "response"}
    assert (found[0]["revision"], found[0]["data"], found[0]["status"]) == (4, model, 200)
    assert found[0]["latency"] > 0
    assert "said" in json.dumps(found[0]["response"])
    assert "header" not in json.dumps(found)


def test_fields_are_struck_out_wherever_they_stand_and_large_bodies_left_out(words: Fronted) -> None:
    serve(words, share=1.0, rows=2, body=200, leave_out=("secret", "name"))

    ask(words, {"name": "mika", "list": [{"name": "ken", "age": 3}]})
    ask(words, "long" * 100)

    [data] = eventually(lambda: samples(words))
    first, second = lines(words, data)
    assert first["request"] == {"inputs": {"list": [{"age": 3}]}}
    assert "secret" not in json.dumps(first["response"])
    assert "mika" not in json.dumps(first)
    assert (second["request"], second["response"]) == (None, None)
    assert second["status"] == 200


def test_a_file_is_closed_when_it_is_old_enough_and_at_the_end_of_the_replica(words: Fronted) -> None:
    serve(words, share=1.0, seconds=0.3)
    ask(words, 1)
    eventually(lambda: len(samples(words)) == 1)
    serve(words, share=1.0, seconds=3_000.0)
    ask(words, 2)

    words.stop()

    assert len(samples(words)) == 2


def test_samples_wait_for_a_controller_that_is_away_and_requests_do_not(words: Fronted) -> None:
    serve(words, share=1.0, rows=1)
    ask(words, 0)
    eventually(lambda: len(samples(words)) == 1)

    words.controller.leave(away=True)
    before = words.controller.asked_to_store
    ask(words, 1)
    eventually(lambda: words.controller.asked_to_store > before, "it was tried while the controller was away")
    words.controller.leave(away=False)

    eventually(lambda: len(samples(words)) == 2)


def test_nothing_is_sampled_that_nobody_asked_for(words: Fronted) -> None:
    serve(words, seconds=0.1)
    ask(words, 1)

    words.stop()

    assert samples(words) == []
    assert msgspec.to_builtins(words.replica.samples.dropped) == 0
