"""A request that waits for a replica is refused after a while; an answer that has begun goes on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_api.inference.waiting import Waiting

SHORT = 0.05
HTTP: dict[str, Any] = {"type": "http", "method": "POST", "path": "/endpoints/digits/predict", "headers": []}


def ask(app: ASGIApp, scope: dict[str, Any]) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    asyncio.run(Waiting(app, SHORT)(scope, receive, send))
    return sent


def app(work: Callable[[Send], Awaitable[None]]) -> ASGIApp:
    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        await work(send)

    return run


def test_what_nobody_answers_is_refused_and_given_up() -> None:
    given_up = []

    async def work(send: Send) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            given_up.append(True)
            await send({"type": "http.response.start", "status": 499, "headers": []})  # as Serve's proxy does

    start, body = ask(app(work), HTTP)

    assert start["status"] == 503
    assert (b"retry-after", b"1") in start["headers"]
    assert json.loads(body["body"])["detail"] == "no replica was ready within 0.05 s"
    assert given_up == [True]


def test_an_answer_that_has_begun_takes_as_long_as_it_takes() -> None:
    async def work(send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(3 * SHORT)
        await send({"type": "http.response.body", "body": b"late"})

    start, body = ask(app(work), HTTP)

    assert (start["status"], body["body"]) == (200, b"late")


def test_what_is_answered_in_time_and_what_fails_are_passed_on() -> None:
    async def fail(send: Send) -> None:
        raise RuntimeError("of the application")

    async def answer(send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})

    assert [message["status"] for message in ask(app(answer), HTTP)] == [204]
    with pytest.raises(RuntimeError, match="of the application"):
        ask(app(fail), HTTP)


def test_only_requests_are_watched() -> None:
    async def work(send: Send) -> None:
        await asyncio.sleep(3 * SHORT)
        await send({"type": "websocket.accept"})

    assert ask(app(work), HTTP | {"type": "websocket"}) == [{"type": "websocket.accept"}]
