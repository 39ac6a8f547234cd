"""Endpoints as whoever asks the server itself sees them: why one does not answer, and all of them under `/v2`.

Requests for `/endpoints/NAME` come here only while no replica of that endpoint is there. The Open Inference Protocol
at the root of the server leads to the endpoints, whose names are those of models.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import quote

import httpx
from starlette.routing import Route as Path
from starlette.types import Receive, Scope, Send

from raykqi.domain.access import Caller
from raykqi.domain.endpoint import Endpoint
from raykqi.errors import RaykqiError, ServerUnavailable, Unauthenticated, UnknownId
from raykqi.serving.metadata import server_metadata
from serve_api.access_log import Note, tell_failure
from serve_api.api import Api
from serve_api.callers import NOBODY, cookie_name, token_of
from serve_api.inference.answers import Headers, send_json, send_problem
from serve_api.inference.seams import NotAllowed
from serve_api.routing import METHODS

__all__ = ["EndpointRoutes"]

PREFIX = "/endpoints"
# Of one connection alone, or said by whoever sends this on.
NOT_PASSED = frozenset(
    [
        "connection",
        "cookie",
        "date",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "raykqi-seq",
        "server",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-request-id",
    ]
)
CONNECTING = 10.0  # seconds
Answer = Callable[[Scope, Receive, Send], Awaitable[None]]


class EndpointRoutes:
    """Beside the table of routes: what they take and answer is for the endpoints to say."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._client: httpx.AsyncClient | None = None

    def paths(self) -> list[Path]:
        ways: dict[str, Answer] = {
            f"{PREFIX}/{{name}}": self._absent,
            f"{PREFIX}/{{name}}/{{path:path}}": self._absent,
            "/v2": self._server,
            "/v2/health/live": self._live,
            "/v2/health/ready": self._ready,
            "/v2/repository/index": self._index,
            "/v2/models/{name}": self._pass_on,
            "/v2/models/{name}/{path:path}": self._pass_on,
        }
        return [Path(path, _Told(path, answer), methods=METHODS, name=path) for path, answer in ways.items()]

    async def close(self) -> None:
        if self._client:
            await self._client.aclose()

    # Endpoints without a replica

    async def _absent(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        caller, has_token = await self._caller(scope)
        name = scope["path_params"]["name"]
        endpoint = await self._find(name)
        if endpoint is None or not _may_know(caller, endpoint):
            if not has_token:
                raise Unauthenticated("no token was given", hint="Send one as `Authorization: Bearer …`.")
            raise UnknownId(f"there is no endpoint {name[:100]!r}", hint="`raykqi serve list` shows what there is.")
        raise ServerUnavailable(f"the endpoint {endpoint.name} does not answer: {_why(endpoint)}", hint="Try again.")

    async def _find(self, name: str) -> Endpoint | None:
        try:
            found: Endpoint = await self._read(lambda: self._api.workspace.endpoint_of_any(name))
        except UnknownId:
            return None
        return found

    async def _caller(self, scope: Scope) -> tuple[Caller, bool]:
        note: Note = scope["raykqi"]
        cookie = cookie_name(note.headers.get("host", ""), is_secure=self._api.options.is_secure)
        token = token_of(note.headers, cookie)
        if not token:
            return NOBODY, False
        caller = await self._api.caller(token)
        note.user, note.run = caller.user, caller.run
        return caller, True

    async def _read(self, function: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._api.readers, function)

    # The protocol of the whole workspace

    async def _server(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        await _say(scope, send, server_metadata())

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        await _say(scope, send, {"live": True})

    async def _ready(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        try:
            await self._read(self._api.check_ready)
        except (RaykqiError, TimeoutError) as error:
            raise ServerUnavailable(f"not ready: {type(error).__name__}", hint="Try again in a moment.") from error
        await _say(scope, send, {"ready": True})

    async def _index(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        caller, has_token = await self._caller(scope)
        if not has_token:
            raise Unauthenticated("no token was given", hint="Send one as `Authorization: Bearer …`.")
        there: list[Endpoint] = await self._read(self._api.workspace.endpoints_of_all)
        said = [
            {"name": each.name, "version": str(each.live.number), "state": "READY"}
            if each.live and not each.is_paused
            else {"name": each.name, "version": "", "state": "UNAVAILABLE", "reason": _why(each)}
            for each in there
            if _may_know(caller, each)
        ]
        await _say(scope, send, said, methods=("POST", "GET"))

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Bodies go through piece by piece, both ways; the endpoint sees who asks."""
        note: Note = scope["raykqi"]
        if any(part in (".", "..") for part in scope["path"].split("/")):
            raise UnknownId("there is nothing at a path with dots for folders", hint="Ask below /v2/models/NAME.")
        name = quote(scope["path_params"]["name"], safe="")
        path = scope.get("raw_path", scope["path"].encode()).decode("latin-1").partition("?")[0]
        query = scope["query_string"].decode("latin-1")
        url = f"{self._base()}{PREFIX}/{name}{path}{'?' if query else ''}{query}"
        headers = [(key, value) for key, value in scope["headers"] if key.decode("latin-1") not in NOT_PASSED]
        headers.append((b"x-request-id", note.request_id.encode()))
        has_body = any(key in (b"content-length", b"transfer-encoding") for key, _ in scope["headers"])
        client = self._client = self._client or _plain_client()
        request = client.build_request(
            scope["method"], url, headers=headers, content=_body(receive) if has_body else None
        )
        try:
            answer = await client.send(request, stream=True)
        except httpx.TransportError as error:
            raise ServerUnavailable(
                f"the endpoint could not be reached: {type(error).__name__}", hint="Try again in a moment."
            ) from error
        try:
            await _send_on(answer, send)
        finally:
            await answer.aclose()

    def _base(self) -> str:
        """Where this server is asked from inside. What a request says of that is not believed."""
        options = self._api.options
        if options.inside_url:
            return options.inside_url.rstrip("/")
        if options.public_url:
            return options.public_url.rstrip("/")
        raise ServerUnavailable(
            "this server does not know how to reach its endpoints", hint=f"Ask below {PREFIX}/NAME, or set runs_url."
        )


class _Told:
    """An ASGI application whose errors clients of the protocol understand."""

    def __init__(self, route: str, answer: Answer) -> None:
        self._route, self._answer = route, answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        note: Note = scope["raykqi"]
        note.route = self._route
        try:
            await self._answer(scope, receive, send)
        except RaykqiError as error:
            if note.status:
                raise
            if error.status >= 500 and not isinstance(error, ServerUnavailable):
                tell_failure(note, error)
            is_head = scope["method"] == "HEAD"
            own: Headers = []
            await send_problem(send, error, own, path=scope["path"], request_id=note.request_id, is_head=is_head)


def _plain_client() -> httpx.AsyncClient:
    """Adds no headers of its own: who did not say that they unpack answers must get none that are packed."""
    client = httpx.AsyncClient(
        timeout=httpx.Timeout(CONNECTING, read=None, write=None, pool=None),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
        trust_env=False,
    )
    client.headers.clear()
    return client


def _may_know(caller: Caller, endpoint: Endpoint) -> bool:
    return endpoint.spec.is_public or caller.endpoint == endpoint.name or caller.may("viewer", endpoint.project)


def _why(endpoint: Endpoint) -> str:
    if endpoint.is_paused:
        return f"it is paused{': ' if endpoint.reason else ''}{endpoint.reason}"
    if endpoint.reason:
        return endpoint.reason
    if endpoint.live:
        return "it is starting"
    coming = endpoint.coming or (endpoint.revisions[-1] if endpoint.revisions else None)
    if coming is None:
        return "no data has its tags yet"
    return f"revision {coming.number} is {coming.status}{': ' if coming.reason else ''}{coming.reason}"


async def _say(scope: Scope, send: Send, value: object, *, methods: tuple[str, ...] = ("GET", "HEAD")) -> None:
    if scope["method"] not in methods:
        raise NotAllowed(f"{scope['method']} is not for this path", allow=", ".join(methods))
    await send_json(send, 200, [], value, is_head=scope["method"] == "HEAD")


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("whoever asked has gone away")
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


async def _send_on(answer: httpx.Response, send: Send) -> None:
    headers = [(key.lower(), value) for key, value in answer.headers.raw]
    headers = [(key, value) for key, value in headers if key.decode("latin-1") not in NOT_PASSED]
    await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
    async for piece in answer.aiter_raw():
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
