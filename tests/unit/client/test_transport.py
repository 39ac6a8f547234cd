"""Requests: what is sent again and what is not, and what is said when a server is not what it should be."""

from __future__ import annotations

import logging
import socket
import time

import pytest

from raykqi import errors
from raykqi.client.greeting import greet
from raykqi.client.target import Target
from raykqi.client.transport import Transport
from raykqi.errors import (
    AmbiguousId,
    RaykqiError,
    ServerError,
    ServerUnavailable,
    Unauthenticated,
    UnknownId,
    VersionMismatch,
)
from serve_api.problems import problem_of
from tests.unit.client.scripted import INFO, Act, Scripted, break_off, give, problem

PATH = "/api/v1/projects/default/data"


def connect(url: str, *, timeout: float = 3.0) -> Transport:
    return Transport(Target(url, "rkq_1_secret"), timeout=timeout, version="0.1.0")


def test_a_question_is_asked_again_while_the_server_is_away(server: Scripted, transport: Transport) -> None:
    away = problem("ServerUnavailable", 503, "not now", headers={"Retry-After": "0"})
    server.will(away, give(status=502, headers={"Raykqi-Version": ""}), break_off, give([1, 2]))

    assert transport.get(PATH, list[int]) == [1, 2]
    assert len(server.asked) == 4


def test_a_known_server_that_comes_up_again_is_waited_for(server: Scripted, transport: Transport) -> None:
    server.will(give([1]), give(status=404, headers={"Content-Type": "text/plain", "Raykqi-Version": ""}), give([2]))

    assert transport.get(PATH, list[int]) == [1]
    assert transport.get(PATH, list[int]) == [2]
    assert len(server.asked) == 3


def test_it_waits_as_long_as_the_server_asks_for(server: Scripted, transport: Transport) -> None:
    server.will(problem("TooManyRequests", 429, "slowly", headers={"Retry-After": "1"}), give([]))
    began = time.monotonic()

    assert transport.get(PATH, list[int]) == []
    assert time.monotonic() - began >= 1.0


def test_what_creates_is_sent_again_with_the_same_key(server: Scripted, transport: Transport) -> None:
    server.will(break_off, give([1]), give([2]))

    assert transport.ask("POST", PATH, list[int], body={"a": 1}) == [1]
    assert transport.ask("POST", PATH, list[int], body={"a": 1}) == [2]

    keys = [asked.headers["Idempotency-Key"] for asked in server.asked]
    assert keys[0] == keys[1] != keys[2]
    assert {asked.body for asked in server.asked} == {b'{"a":1}'}


def test_what_must_not_arrive_twice_is_sent_once(server: Scripted, transport: Transport) -> None:
    server.will(break_off, give([1]))

    with pytest.raises(ServerUnavailable, match="look before you ask again"):
        transport.ask("POST", PATH, list[int], body={}, repeats=False)

    assert len(server.asked) == 1


def test_it_gives_up_in_time(server: Scripted) -> None:
    server.will(problem("ServerUnavailable", 503, "the controller is away", hint="Wait."))
    impatient = connect(server.url, timeout=1.0)
    began = time.monotonic()

    with pytest.raises(ServerUnavailable, match="the controller is away") as refused:
        impatient.get(PATH, list[int])

    assert time.monotonic() - began < 3.0
    assert refused.value.hint == "Wait."
    assert len(server.asked) > 1
    impatient.close()


def test_storage_that_was_tried_long_enough_is_not_tried_again(server: Scripted, transport: Transport) -> None:
    server.will(problem("StorageUnavailable", 503, "the storage does not answer"))

    with pytest.raises(errors.StorageUnavailable):
        transport.get(PATH, list[int])

    assert len(server.asked) == 1


def test_what_was_seen_is_told_so_that_every_replica_has_seen_it(server: Scripted, transport: Transport) -> None:
    server.will(give([], headers={"Raykqi-Seq": "41"}), give([], headers={"Raykqi-Seq": "7"}), give([]))

    for _ in range(3):
        transport.get(PATH, list[int])

    assert [asked.headers.get("Raykqi-Seq") for asked in server.asked] == [None, "41", "41"]


@pytest.mark.parametrize("name", sorted(set(errors.__all__) - {"RaykqiError"}))
def test_every_error_of_the_server_is_the_same_error_here(name: str, server: Scripted, transport: Transport) -> None:
    kind = getattr(errors, name)
    raised = kind("what and which", hint="what to do")
    told = problem_of(raised, request_id="r1")
    server.will(problem(told.type.rpartition(":")[2], kind.status, told.detail, hint=told.hint, request_id="r1"))

    with pytest.raises(RaykqiError) as refused:
        transport.ask("POST", PATH, list[int], repeats=False)

    assert type(refused.value) is kind
    assert refused.value.message == told.detail
    assert refused.value.hint.startswith(told.hint)


def test_the_candidates_of_an_ambiguous_id_come_along(server: Scripted, transport: Transport) -> None:
    server.will(problem("AmbiguousId", 409, "two begin so", candidates=["a", "b"]))

    with pytest.raises(AmbiguousId) as refused:
        transport.get(PATH, list[int])

    assert refused.value.candidates == ("a", "b")


def test_an_error_of_a_later_version_is_what_its_status_says(server: Scripted, transport: Transport) -> None:
    server.will(problem("TooFancy", 404, "no such fancy"))

    with pytest.raises(errors.NotFound, match="no such fancy"):
        transport.get(PATH, list[int])


def test_a_wrong_token_says_how_to_get_one(server: Scripted, transport: Transport) -> None:
    server.will(problem("Unauthenticated", 401, "the token is not valid"))

    with pytest.raises(Unauthenticated) as refused:
        transport.get(PATH, list[int])

    assert f"raykqi login {server.url}" in refused.value.hint


def test_the_token_is_in_no_text(server: Scripted, transport: Transport, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server.will(break_off, problem("UnknownId", 404, "there is no data"))

    with pytest.raises(UnknownId) as refused:
        transport.get(PATH, list[int], [("tag", "a:1")])

    assert server.asked[-1].headers["Authorization"] == "Bearer rkq_1_secret"
    assert "secret" not in server.asked[-1].path
    assert "secret" not in f"{refused.value!r} {refused.value} {transport!r} {caplog.text}"


def test_a_server_that_is_not_there_is_told_at_once_with_its_address() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    began = time.monotonic()

    with pytest.raises(
        ServerUnavailable, match=f"the server at {url} cannot be reached: Connection refused"
    ) as refused:
        connect(url, timeout=60.0).get(PATH, list[int])

    assert time.monotonic() - began < 5.0
    assert "raykqi up" in refused.value.hint


def test_a_host_that_no_one_knows_is_told() -> None:
    with pytest.raises(ServerUnavailable, match=r"there is no host of the name in http://nobody\.invalid"):
        connect("http://nobody.invalid").get(PATH, list[int])


def test_a_server_without_tls_is_told_apart_from_one_that_is_away(server: Scripted) -> None:
    with pytest.raises(ServerError, match="does not speak TLS") as refused:
        connect(server.url.replace("http:", "https:")).get(PATH, list[int])

    assert server.url in refused.value.hint


def test_something_else_that_answers_is_told_apart(server: Scripted, transport: Transport) -> None:
    page = {"Content-Type": "text/html", "Raykqi-Version": ""}
    for status in (200, 404):
        server.will(give(status=status, headers=page, body=b"<html>It works!</html>"))
        with pytest.raises(ServerError, match=f"what answers at {server.url} is no raykqi server"):
            greet(transport, "0.1.0")
    server.will(give(status=302, headers={**page, "Location": "https://elsewhere.example/"}))
    with pytest.raises(ServerError, match=r"leads elsewhere: to https://elsewhere\.example/"):
        greet(transport, "0.1.0")


@pytest.mark.parametrize(("api", "hint"), [(2, "pip install raykqi==9.9.9"), (0, "Upgrade the server")])
def test_a_newer_or_older_server_is_told(server: Scripted, transport: Transport, api: int, hint: str) -> None:
    server.will(give(INFO | {"api": api}))

    with pytest.raises(
        VersionMismatch, match=rf"raykqi 9\.9\.9 and speaks API {api}; this client is 0\.1\.0"
    ) as refused:
        greet(transport, "0.1.0")

    assert hint in refused.value.hint


@pytest.mark.parametrize(
    "answer",
    [
        give({"an": "object"}),
        give(body=b"{torn"),
        problem("NotFound", 404, "Not Found"),
        problem("MethodNotAllowed", 405, "PUT is not for this path"),
    ],
)
def test_what_only_another_version_says_is_told_with_both(server: Scripted, transport: Transport, answer: Act) -> None:
    server.will(answer)

    with pytest.raises(VersionMismatch, match=r"has version 9\.9\.9") as refused:
        transport.get(PATH, list[int])

    assert "0.1.0" in refused.value.hint


def test_a_server_that_stalls_is_given_up(server: Scripted) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()

        with pytest.raises(ServerUnavailable, match="does not answer"):
            connect(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=1.0).get(PATH, list[int])

    assert time.monotonic() - began < 5.0
