"""An endpoint under load while models roll out and back, and replica, proxy and controller are killed.

Each answer is compared with what the model gives that it says it comes from. A client that asks again
sees no failure; without asking again, only what was under way when something was killed fails.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import onnxruntime
import pytest

import raykqi
from raykqi.client import RemoteWorkspace
from tests import models
from tests.integration.cluster.served_api import ServedApi, serve_api
from tests.integration.cluster.test_api_under_load import kill_one

NAME = "digits"
ROWS = np.linspace(-1, 1, 4, dtype=np.float32).reshape(1, 4)
BODY = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": ROWS.ravel().tolist()}]}
RECOVERING = 15.0  # seconds after a kill in which what was under way, or found nobody, may have failed
PATIENCE = 60.0


@dataclass
class Load:
    """Clients that ask without end, with `pause` seconds in between.

    Each failure with its time, and how many answers each model gave.
    """

    url: str
    token: str
    expected: dict[str, np.ndarray]
    pause: float = 0.0
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[float, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    _end: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self, clients: int) -> None:
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(PATIENCE * 2)
            assert not thread.is_alive()

    def _ask(self) -> None:
        with httpx.Client(headers={"Authorization": f"Bearer {self.token}"}, timeout=30) as client:
            while not self._end.is_set():
                self._once(client)
                self._end.wait(self.pause)

    def _once(self, client: httpx.Client) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            problem = self._try(client)
            if not problem:
                return
            self.failures.append((time.monotonic(), problem))
            if time.monotonic() > until:
                self.given_up.append(problem)
                return
            self._end.wait(0.1)

    def _try(self, client: httpx.Client) -> str:
        try:
            answer = client.post(self.url, json=BODY)
        except httpx.TransportError as error:
            return repr(error)
        if answer.status_code != 200:
            return f"{answer.status_code} {answer.text[:300]}"
        model = answer.headers["raykqi-data"]
        given = np.array(answer.json()["outputs"][0]["data"], np.float32)
        if not np.allclose(given, self.expected[model].ravel(), atol=1e-6):
            self.wrong.append(f"{model} answered {given}, not {self.expected[model]}")
        self.answers[model] += 1
        return ""


def push_models(ws: RemoteWorkspace, folder: Path, count: int) -> list[raykqi.Data]:
    pushed = []
    for seed in range(count):
        models.mlp(folder / f"model-{seed}", seed=seed)
        pushed.append(ws.push(folder / f"model-{seed}", ["type:model"]))
    return pushed


def what_they_answer(folder: Path, pushed: list[raykqi.Data]) -> dict[str, np.ndarray]:
    found = {}
    for seed, data in enumerate(pushed):
        (file,) = (folder / f"model-{seed}").glob("*.onnx")
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        (found[data.id],) = session.run(None, {"x": ROWS})
    return found


def wait_for_answers_of(load: Load, model: str) -> None:
    before, until = load.answers[model], time.monotonic() + PATIENCE
    while load.answers[model] <= before + 20:
        assert time.monotonic() < until, f"{model} does not answer; failures: {load.failures[-3:]}"
        assert not load.wrong
        threading.Event().wait(0.05)


@pytest.mark.parametrize(
    ("rollouts", "clients", "pause", "seconds"),
    [pytest.param(4, 8, 0.05, 0.0, id="4"), pytest.param(10, 16, 0.0, 60.0, id="10", marks=pytest.mark.soak)],
)
def test_no_request_fails_while_models_roll_out_and_processes_are_killed_and_all_comes_back_with_ray(
    tmp_path: Path, rollouts: int, clients: int, pause: float, seconds: float
) -> None:
    with serve_api(tmp_path / "workspace", tmp_path) as api, raykqi.connect(api.url, token=api.token) as ws:
        pushed = push_models(ws, tmp_path, rollouts + 1)
        ws.tag(pushed[0], add=["stage:prod"])
        ws.deploy(NAME, tags=["type:model", "stage:prod"], replicas=2, cpu=0)
        ws.wait_endpoint(NAME, timeout=PATIENCE)
        expected = what_they_answer(tmp_path, pushed)
        load = Load(f"{api.url}/endpoints/{NAME}/v2/models/{NAME}/infer", api.token, expected, pause)
        kills: list[float] = []
        began = time.monotonic()
        load.start(clients)
        try:
            disturb_and_roll(api, ws, load, pushed, kills)
            threading.Event().wait(max(0.0, began + seconds - time.monotonic()))
        finally:
            load.stop()

        served = ws.endpoint(NAME)
    assert load.wrong == []
    assert load.given_up == []
    after = [
        (at - max((kill for kill in kills if kill <= at), default=float("-inf")), why) for at, why in load.failures
    ]
    assert [each for each in after if each[0] > RECOVERING] == [], "these failed long after anything had been killed"
    assert all(load.answers[data.id] for data in pushed)
    moves = [move.status for each in served.revisions for move in each.history]
    assert moves.count("live") >= rollouts + 3
    assert served.live
    check_that_it_comes_back(tmp_path / "workspace", tmp_path, served, expected[served.live.data])


def disturb_and_roll(
    api: ServedApi, ws: RemoteWorkspace, load: Load, pushed: list[raykqi.Data], kills: list[float]
) -> None:
    """Roll-outs, two of them followed by a rollback, with a kill on the way of three of them."""
    victims = {1: f"ServeReplica:raykqi-endpoint-{NAME}", 2: "ControllerActor", 3: "haproxy"}
    wait_for_answers_of(load, pushed[0].id)
    for number, data in enumerate(pushed[1:]):
        ws.tag(data, add=["stage:prod"])
        if number in victims:
            kills.append(time.monotonic())
            kill_one(api.process, victims[number])
        wait_for_answers_of(load, data.id)
        if number in (0, 3):
            ws.rollback(NAME)
            wait_for_answers_of(load, pushed[number].id)
            ws.promote(NAME, len(pushed[: number + 2]))
            wait_for_answers_of(load, data.id)
            ws.follow_tags(NAME)


def check_that_it_comes_back(workspace: Path, folder: Path, served: raykqi.Endpoint, expected: np.ndarray) -> None:
    """The workspace remembers it, not Ray: the same revision answers, without a command."""
    assert served.live
    with serve_api(workspace, folder) as again:
        answer = ask_until_it_answers(again)
    said = (answer.headers["raykqi-data"], answer.headers["raykqi-revision"])
    assert said == (served.live.data, str(served.live.number))
    assert np.array_equal(np.array(answer.json()["outputs"][0]["data"], np.float32), expected.ravel())


def ask_until_it_answers(api: ServedApi) -> httpx.Response:
    until = time.monotonic() + PATIENCE
    with httpx.Client(headers={"Authorization": f"Bearer {api.token}"}, timeout=30) as client:
        while True:
            answer = client.post(f"{api.url}/endpoints/{NAME}/v2/models/{NAME}/infer", json=BODY)
            if answer.status_code == 200:
                return answer
            assert answer.status_code == 503, answer.text
            assert time.monotonic() < until, answer.text
            threading.Event().wait(0.1)
