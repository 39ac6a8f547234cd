"""How much a replica takes on, and what it says to the rest."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from raykqi.domain.endpoint import Batching, RequestLimits
from tests import models
from tests.integration.serving.fronts import Fronted, eventually, spec

SLEEPER = """
import time
class Predictor:
    def predict(self, inputs):
        if inputs == 'pid':
            import os
            return os.getpid()
        time.sleep(float(inputs))
        return inputs
"""


@pytest.fixture
def sleeper(front: Fronted, tmp_path: Path) -> Callable[..., Fronted]:
    def make(**limits: object) -> Fronted:
        model = models.custom(tmp_path / "sleeper", body=SLEEPER).parent
        told = spec(limits=RequestLimits(**limits), batching=Batching(most=1))  # type: ignore[arg-type]
        front.controller.show(front.revision(1, model), spec=told)
        front.until_ready(1)
        return front

    return make


def ask(front: Fronted, what: object) -> httpx.Response:
    return front.client.post("/predict", json={"inputs": what})


def test_more_than_the_queue_holds_is_told_to_come_again(sleeper: Callable[..., Fronted]) -> None:
    front = sleeper(queue=2)
    with ThreadPoolExecutor(2) as pool:
        busy = [pool.submit(ask, front, "1.0") for _ in range(2)]
        eventually(lambda: front.replica.asking == 2)

        refused = ask(front, "0")

        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert "2 requests are under way already" in refused.json()["error"]
        assert front.client.get("/health").status_code == 200
        assert [each.result().status_code for each in busy] == [200, 200]
    assert ask(front, "0").status_code == 200


def test_more_than_the_rate_is_told_when_to_come_again(sleeper: Callable[..., Fronted]) -> None:
    front = sleeper(rate=0.5)

    assert ask(front, "0").status_code == 200
    refused = ask(front, "0")

    assert (refused.status_code, refused.headers["retry-after"]) == (429, "2")


def test_what_takes_too_long_is_given_up_and_the_process_begun_again(sleeper: Callable[..., Fronted]) -> None:
    """The one behind it is asked once more, of the new process."""
    front = sleeper(timeout=1.5)
    before = front.pid(1)
    with ThreadPoolExecutor(2) as pool:
        stuck = pool.submit(ask, front, "600")
        eventually(lambda: front.replica.asking == 1)
        threading.Event().wait(0.8)  # so that it has time left when the other has none
        behind = pool.submit(ask, front, "0")

        assert stuck.result().status_code == 504
        assert "no answer within" in stuck.result().json()["error"]
        assert behind.result().status_code == 200, behind.result().text
    front.until_ready(1)
    assert front.pid(1) != before


def test_who_had_little_time_left_when_the_model_was_ready_does_not_end_its_process(
    front: Fronted, tmp_path: Path
) -> None:
    slow_to_load = SLEEPER + "    def __init__(self):\n        time.sleep(0.8)\n"
    model = models.custom(tmp_path / "sleeper", body=slow_to_load).parent
    front.controller.show(front.revision(1, model), spec=spec(limits=RequestLimits(timeout=1.5)))
    eventually(lambda: front.controller.state(1) == "loading")

    assert ask(front, "1.4").status_code in (503, 504)

    front.until_ready(1)
    assert ask(front, "0").status_code == 200
    assert not any("no answer in time" in line for line in front.replica.lines.newest)


def test_nothing_to_serve_is_told_with_the_reason(front: Fronted) -> None:
    front.controller.show(reason="paused by mika")
    eventually(lambda: "paused" in ask(front, "0").text)

    for path in ("/predict", "/v2/models/digits/infer"):
        answer = front.client.post(path, json={"inputs": 1})
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert "serves nothing now: paused by mika" in answer.json()["error"]
    for path in ("/health", "/v2/health/ready", "/v2/models/digits/ready", "/metadata"):
        assert front.client.get(path).status_code == 503
    for path in ("/health", "/v2/health/ready", "/v2/models/digits/ready"):
        stranger = httpx.get(front.url + path, trust_env=False)
        assert stranger.status_code == 503
        assert stranger.json()["error"] == "the endpoint digits is not ready. Try again in a moment."
    assert front.client.get("/v2/health/live").status_code == 200


def test_requests_that_come_while_the_first_model_is_loaded_wait_for_it(front: Fronted, tmp_path: Path) -> None:
    model = models.custom(tmp_path / "sleeper", body=SLEEPER).parent
    front.controller.show(front.revision(1, model))
    eventually(lambda: front.controller.state(1) == "loading")

    answer = ask(front, "0")

    assert answer.status_code == 200, answer.text
