"""Asking an endpoint: what is sent, what is waited for, and how refusals are told."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from raykqi.client.inference import ask_endpoint, media_type_of
from raykqi.client.target import Target, server_of
from raykqi.errors import Conflict, InvalidInput, ServerUnavailable
from raykqi.settings import ServerSettings
from tests.unit.client.scripted import INFO, Scripted, break_off, give, problem

BY = {"raykqi-data": "01939c1c-7d1e-7b0a-9f41-0d9a6c1e2f33", "raykqi-revision": "3", "Raykqi-Version": ""}


def ask(server: Scripted, path: str = "predict", *, timeout: float = 5.0) -> tuple[str, int, bytes]:
    asked = ask_endpoint(
        Target(server.url, "rkq_1_secret"),
        "digits",
        path,
        b'{"x": 1}',
        media_type="application/json",
        version="0.1.0",
        timeout=timeout,
    )
    with asked as answered:
        return answered.data, answered.revision, b"".join(answered.pieces)


def test_the_answer_comes_with_the_model_that_gave_it(server: Scripted) -> None:
    server.will(give({"label": "7"}, headers=BY))

    data, revision, body = ask(server, "predict/label")

    assert (data, revision, json.loads(body)) == (BY["raykqi-data"], 3, {"label": "7"})
    (request,) = server.asked
    assert (request.method, request.path, request.body) == ("POST", "/endpoints/digits/predict/label", b'{"x": 1}')
    assert request.headers["Authorization"] == "Bearer rkq_1_secret"
    assert request.headers["Content-Type"] == "application/json"


def test_one_that_wakes_or_is_full_is_asked_again(server: Scripted) -> None:
    soon = {"Retry-After": "0", "Raykqi-Version": ""}
    server.will(
        problem("ServerUnavailable", 503, "it is starting", headers=soon),
        problem("TooManyRequests", 429, "the queue is full", headers=soon),
        give({"label": "7"}, headers=BY),
    )

    assert ask(server)[1] == 3
    assert len(server.asked) == 3


def test_patience_ends_with_the_reason(server: Scripted) -> None:
    server.will(problem("ServerUnavailable", 503, "it is paused: bad data", headers={"Retry-After": "60"}))

    with pytest.raises(ServerUnavailable, match="it is paused: bad data"):
        ask(server, timeout=1.0)


def test_mistakes_are_told_as_they_are_and_not_repeated(server: Scripted) -> None:
    server.will(problem("InvalidInput", 400, "the input image has 2 axes", hint="Send 4."))

    with pytest.raises(InvalidInput, match="the input image has 2 axes") as caught:
        ask(server)
    assert caught.value.hint == "Send 4."
    assert len(server.asked) == 1


def test_a_connection_that_breaks_is_not_taken_for_an_answer(server: Scripted) -> None:
    server.will(break_off)

    with pytest.raises(ServerUnavailable):
        ask(server)


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("seven.png", "image/png"),
        ("a/b.JPG", "image/jpeg"),
        ("x.json", "application/json"),
        ("x.npy", "application/octet-stream"),
        ("x.txt", "text/plain"),
        ("README", "application/octet-stream"),
    ],
)
def test_the_ending_of_a_file_says_what_it_is(path: str, media_type: str) -> None:
    assert media_type_of(path) == media_type


def test_the_server_of_a_workspace_is_the_one_that_is_up_for_it(tmp_path: Path) -> None:
    settings = ServerSettings(records=tmp_path)
    known = {"url": "http://127.0.0.1:8000", "workspace": INFO["workspace"], "pid": os.getpid(), "token": "rkq_1_x"}
    (tmp_path / "one.json").write_text(json.dumps(known))

    assert server_of(str(INFO["workspace"]), "/lab", settings) == Target("http://127.0.0.1:8000", "rkq_1_x")
    with pytest.raises(Conflict, match="no server of /other is up on this machine"):
        server_of("01939c1c-0000-7b0a-9f41-0d9a6c1e2f33", "/other", settings)
