"""What answers the requests of an endpoint: ASGI without a framework, as each costs more than many models do.

Here is decided who may ask, how much, and which revision; what a request says is the model's process to understand.
"""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial

from starlette.types import Receive, Scope, Send

from raykqi.errors import RaykqiError, TooManyRequests
from raykqi.serving.frames import Answered, Kind
from raykqi.serving.metadata import about_json
from serve_api.inference import answers
from serve_api.inference.answers import Headers
from serve_api.inference.held import Held
from serve_api.inference.later import answer_job, leave_job
from serve_api.inference.replica import Replica
from serve_api.inference.request import READING, WRITING, Request, Way
from serve_api.inference.seams import NotAllowed
from serve_api.inference.streaming import send_stream
from serve_api.inference.v2 import V2

__all__ = ["Front"]

log = logging.getLogger(__name__)
# Of what a model's process says, what goes on to whoever asked.
PASSED = {
    name: name.encode()
    for name in ("content-type", "content-encoding", "inference-header-content-length", "vary", "retry-after")
}


class Front:
    """`tells_id`: answers carry the id of their request; where the server around this adds it, they need not."""

    def __init__(self, replica: Replica, *, tells_id: bool = True) -> None:
        self._replica = replica
        self._tells_id = tells_id
        self._endpoint = [(b"raykqi-endpoint", replica.name.encode("latin-1", "replace"))]
        self._v2 = V2(replica, partial(self._ask, "infer"), self._require)
        self._ways = {
            "/predict": Way(WRITING, partial(self._ask, "predict")),
            "/predict/label": Way(WRITING, partial(self._ask, "label")),
            "/predict/test": Way(("GET", *WRITING), partial(self._ask, "test")),
            "/predict/stream": Way(WRITING, self._stream),
            "/jobs": Way(WRITING, self._leave_job),
            "/health": Way(READING, self._health),
            "/metadata": Way(READING, self._metadata),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._answer(Request(scope, receive, send))
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1003})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._replica.open()
        except Exception as error:
            log.exception("the replica could not begin")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        try:
            await self._replica.close()
        finally:
            await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, request: Request) -> None:
        if self._tells_id:
            request.own.append((b"x-request-id", request.id.encode("latin-1")))
        try:
            way = self._ways.get(request.path) or self._find(request.path)
            if request.method in way.methods:
                await way.answer(request)
            else:
                await self._options(request, way)
        except Exception as error:
            if request.has_begun:
                raise  # in the middle of an answer, which must not look as if it were whole
            await self._refuse(request, error)

    async def _options(self, request: Request, way: Way) -> None:
        allow = ", ".join((*way.methods, "OPTIONS"))
        if request.method != "OPTIONS":
            raise NotAllowed(f"{request.method} is not for this path", allow=allow)
        await answers.send(request.send, 204, [*request.own, (b"allow", allow.encode())], b"")

    def _find(self, path: str) -> Way:
        way = None
        if path == "/v2" or path.startswith("/v2/"):
            way = self._v2.find(path)
        elif path.startswith("/jobs/"):
            way = Way(READING, self._answer_job)
        if way is None:
            raise answers.unknown(path)
        return way

    async def _refuse(self, request: Request, error: Exception) -> None:
        where = request.root + request.path
        if not isinstance(error, RaykqiError):
            log.error("request %s of %s failed", request.id, where, exc_info=error)
            self._replica.lines.say(f"request {request.id} failed inside of the replica: {type(error).__name__}")
        elif error.status >= 500:
            self._replica.lines.say(f"request {request.id} of {request.path[:100]}: {error.status} {error.message}")
        headers = [*request.own, *self._endpoint]
        await answers.send_problem(
            request.send, error, headers, path=where, request_id=request.id, is_head=request.is_head
        )

    # The way of nearly all requests

    async def _ask(self, kind: Kind, request: Request, number: int | None = None) -> None:
        replica = self._replica
        if replica.access.remembered(request.headers) is None:
            await replica.access.user(request.headers)
        self._admit()
        replica.asking += 1
        try:
            body = (
                b""
                if kind == "test"
                else await replica.reading.body(request.receive, request.headers, replica.spec.limits)
            )
            began = time.perf_counter()
            answered, held = await replica.ask(kind, request.headers, body, number)
        finally:
            replica.asking -= 1
        if replica.samples.is_next():
            took = time.perf_counter() - began
            about = held.number, held.wanted.data, took, answered.status
            replica.samples.take(*about, body, request.headers, answered.body, answered.headers)
        await answers.send(request.send, answered.status, self._headers(request, held, answered), answered.body)

    def _admit(self) -> None:
        replica = self._replica
        if replica.asking >= replica.spec.limits.queue:
            raise TooManyRequests(
                f"{replica.asking} requests are under way already", hint="Try again in a moment.", retry_after=1.0
            )
        replica.rate.take()

    def _headers(self, request: Request, held: Held, answered: Answered) -> Headers:
        headers = [*request.own, *held.headers]
        for name, value in answered.headers.items():
            if name in PASSED:
                headers.append((PASSED[name], value.encode("latin-1", "replace")))
        if answered.status in (429, 503) and "retry-after" not in answered.headers:
            headers.append((b"retry-after", b"1"))
        return headers

    # All others

    async def _require(self, request: Request) -> str:
        """The user who asks; "" is anybody."""
        return await self._replica.access.user(request.headers)

    async def _leave_job(self, request: Request) -> None:
        user = await self._replica.access.known_user(request.headers)  # what it stores, somebody has to answer for
        self._admit()
        await leave_job(self._replica, request, user)

    async def _answer_job(self, request: Request) -> None:
        await self._require(request)
        await answer_job(self._replica, request)

    async def _health(self, request: Request) -> None:
        ready = self._replica.revisions.ready
        if not ready:
            raise await self._replica.why_not(request.headers)
        said = {"status": "ready", "endpoint": self._replica.name, "revisions": [held.number for held in ready]}
        headers = [*request.own, *self._endpoint]
        await answers.send_json(request.send, 200, headers, said, is_head=request.is_head)

    async def _metadata(self, request: Request) -> None:
        await self._require(request)
        held = self._replica.revisions.someone()
        if held is None or held.model is None:
            raise self._replica.revisions.why_not()
        said = {"endpoint": self._replica.name, "revision": held.number, "data": held.wanted.data}
        said |= about_json(held.model.about)
        await answers.send_json(request.send, 200, [*request.own, *held.headers], said, is_head=request.is_head)

    async def _stream(self, request: Request) -> None:
        replica = self._replica
        await self._require(request)
        self._admit()
        replica.asking += 1
        try:
            body = await replica.reading.body(request.receive, request.headers, replica.spec.limits)
            streamed, held = await replica.stream(request.headers, body)
            began, status = time.monotonic(), 500
            try:
                request.has_begun = True
                headers = self._headers(request, held, Answered(streamed.status, dict(streamed.headers), b""))
                await send_stream(streamed, headers, request.receive, request.send)
                status = streamed.status
            except asyncio.CancelledError:
                status = 0  # who asked has gone, which says nothing of the model
                raise
            finally:
                if status:
                    held.counter.add(status, time.monotonic() - began)
                held.answered()
        finally:
            replica.asking -= 1
