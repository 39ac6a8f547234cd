"""A request that waits for a replica which does not come is refused; where one is, its answer is waited for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from raykqi.errors import ServerUnavailable
from serve_api.inference.waiting import Waiting

SHORT = 0.05
HTTP: dict[str, Any] = {"type": "http", "method": "POST", "path": "/endpoints/digits/predict", "headers": []}


def ask(
    app: ASGIApp,
    running: Callable[[], Mapping[str, int]] = lambda: {"digits": 0},
    scope: dict[str, Any] = HTTP,
    longest: float = SHORT,
) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    asyncio.run(Waiting(app, running, longest=longest, look=SHORT / 5)(scope, receive, send))
    return sent


def app(work: Callable[[Send], Awaitable[None]]) -> ASGIApp:
    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        await work(send)

    return run


async def never(send: Send) -> None:  # as Serve's proxy says when it is cancelled
    try:
        await asyncio.Event().wait()
    finally:
        await send({"type": "http.response.start", "status": 499, "headers": []})


async def late(send: Send) -> None:
    await asyncio.sleep(3 * SHORT)
    await send({"type": "http.response.start", "status": 200, "headers": []})


def detail(sent: list[Message]) -> str:
    start, body = sent
    assert start["status"] == 503
    assert (b"retry-after", b"1") in start["headers"]
    return str(json.loads(body["body"])["detail"])


def test_without_a_replica_it_is_refused_after_a_while() -> None:
    assert detail(ask(app(never))) == "the endpoint digits does not answer: no replica was ready within 0.05 s"


def test_of_an_endpoint_that_was_taken_off_it_is_refused_at_once() -> None:
    assert detail(ask(app(never), dict, longest=600)) == "the endpoint digits does not answer: it was taken off"


def test_where_a_replica_is_an_answer_may_be_late() -> None:
    assert [message["status"] for message in ask(app(late), lambda: {"digits": 1})] == [200]


def test_an_answer_that_has_begun_takes_as_long_as_it_takes() -> None:
    async def work(send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(3 * SHORT)
        await send({"type": "http.response.body", "body": b"late"})

    start, body = ask(app(work))

    assert (start["status"], body["body"]) == (200, b"late")


def test_while_serve_cannot_be_asked_it_is_waited() -> None:
    def nobody() -> Mapping[str, int]:
        raise ServerUnavailable("Ray Serve is not up")

    assert [message["status"] for message in ask(app(late), nobody)] == [200]


def test_what_is_answered_in_time_and_what_fails_are_passed_on() -> None:
    async def fail(send: Send) -> None:
        raise RuntimeError("of the application")

    async def answer(send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})

    assert [message["status"] for message in ask(app(answer))] == [204]
    with pytest.raises(RuntimeError, match="of the application"):
        ask(app(fail))


@pytest.mark.parametrize("scope", [HTTP | {"type": "websocket"}, HTTP | {"path": "/api/v1/uploads"}])
def test_only_requests_for_endpoints_are_watched(scope: dict[str, Any]) -> None:
    assert [message["status"] for message in ask(app(late), dict, scope)] == [200]


def test_many_that_wait_look_together() -> None:
    looks: list[int] = []

    def running() -> Mapping[str, int]:
        looks.append(1)
        return {}

    async def ask_all() -> None:
        waiting = Waiting(app(never), running, look=SHORT)

        async def none(*_: object) -> Any:
            return None

        await asyncio.gather(*(waiting(HTTP, none, none) for _ in range(20)))

    asyncio.run(ask_all())

    assert len(looks) < 5
