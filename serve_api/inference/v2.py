"""The Open Inference Protocol of one endpoint: what is known without asking its model. The model has the endpoint's
name, and its versions are the numbers of revisions.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from raykqi.errors import NotFound, ServerUnavailable, UnknownId
from raykqi.serving.metadata import model_metadata, server_metadata
from serve_api.inference import answers
from serve_api.inference.held import Held
from serve_api.inference.replica import Replica
from serve_api.inference.request import READING, WRITING, Request, Way

__all__ = ["V2"]

Infer = Callable[[Request, int | None], Awaitable[None]]
Require = Callable[[Request], Awaitable[str]]


class V2:
    """`infer` answers with what the model says, `require` raises unless whoever asks may."""

    def __init__(self, replica: Replica, infer: Infer, require: Require) -> None:
        self._replica = replica
        self._infer, self._require = infer, require
        self._endpoint = [(b"raykqi-endpoint", replica.name.encode("latin-1", "replace"))]
        self._inferring = Way(WRITING, lambda request: infer(request, None))
        self._infer_path = f"/v2/models/{replica.name}/infer"

    def find(self, path: str) -> Way | None:
        """Raises when it names a model or a revision that is not here."""
        if path == self._infer_path:
            return self._inferring
        match path.strip("/").split("/")[1:]:
            case []:
                return Way(READING, self._server)
            case ["health", "live"]:
                return Way(READING, lambda request: self._plain(request, {"live": True}))
            case ["health", "ready"]:
                return Way(READING, self._ready)
            case ["repository", "index"]:
                return Way(WRITING, self._index)
            case ["models", name, *rest]:
                self._check(name)
                return self._of_model(rest)
        return None

    def _of_model(self, rest: list[str]) -> Way | None:
        number: int | None = None
        if rest[:1] == ["versions"] and len(rest) > 1:
            number = self._number(rest[1])
            rest = rest[2:]
        match rest:
            case []:
                return Way(READING, lambda request: self._metadata(request, number))
            case ["ready"]:
                return Way(READING, lambda request: self._model_ready(request, number))
            case ["infer"]:
                return Way(WRITING, lambda request: self._infer(request, number))
        return None

    def _check(self, name: str) -> None:
        if name != self._replica.name:
            raise NotFound(
                f"there is no model {name[:100]!r} here", hint=f"This endpoint's is called {self._replica.name}."
            )

    def _number(self, text: str) -> int:
        """Of a revision that is ready."""
        if text.isascii() and text.isdecimal() and len(text) < 10 and self._replica.revisions.numbered(int(text)):
            return int(text)
        there = ", ".join(str(held.number) for held in self._replica.revisions.ready) or "none at the moment"
        raise UnknownId(f"revision {text[:20]} of {self._replica.name} is not served", hint=f"Those that are: {there}.")

    def _held(self, number: int | None) -> Held:
        revisions = self._replica.revisions
        held = revisions.someone() if number is None else revisions.numbered(number)
        if held is None:
            raise revisions.why_not()
        return held

    async def _held_for_anybody(self, request: Request, number: int | None) -> Held:
        try:
            return self._held(number)
        except ServerUnavailable:
            raise await self._replica.why_not(request.headers) from None

    async def _plain(self, request: Request, said: object) -> None:
        headers = [*request.own, *self._endpoint]
        await answers.send_json(request.send, 200, headers, said, is_head=request.is_head)

    async def _server(self, request: Request) -> None:
        await self._plain(request, server_metadata())

    async def _ready(self, request: Request) -> None:
        await self._held_for_anybody(request, None)
        await self._plain(request, {"ready": True})

    async def _index(self, request: Request) -> None:
        await self._require(request)
        name = self._replica.name
        there = [
            {"name": name, "version": str(held.number), "state": "READY"} for held in self._replica.revisions.ready
        ]
        await self._plain(request, there)

    async def _metadata(self, request: Request, number: int | None) -> None:
        await self._require(request)
        held = self._held(number)
        if held.model is None:
            raise self._replica.revisions.why_not()
        versions = [str(each.number) for each in self._replica.revisions.ready]
        said = model_metadata(held.model.about, self._replica.name, versions)
        await answers.send_json(request.send, 200, [*request.own, *held.headers], said, is_head=request.is_head)

    async def _model_ready(self, request: Request, number: int | None) -> None:
        held = await self._held_for_anybody(request, number)
        said = {"name": self._replica.name, "ready": True}
        await answers.send_json(request.send, 200, [*request.own, *held.headers], said, is_head=request.is_head)
