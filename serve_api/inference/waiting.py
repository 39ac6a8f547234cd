"""How long a request waits for an endpoint that has no replica: until the first one answers, but not for ever.

Serve's fallback proxy keeps such requests while a replica starts. It would also keep them when the endpoint
is paused or removed meanwhile, or when no node has room for it.
"""

from __future__ import annotations

import asyncio

import ray
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from raykqi.errors import ServerUnavailable
from serve_api.inference.answers import send_problem

__all__ = ["LONGEST", "Waiting", "middlewares"]

LONGEST = 30.0  # seconds
FALLBACK = "-fallback-"  # is in the name of that proxy, and of no other actor of Serve's


def middlewares() -> list[Middleware]:
    """For Serve, which asks for them in every process that takes requests."""
    is_fallback = FALLBACK in (ray.get_runtime_context().get_actor_name() or "")
    return [Middleware(Waiting, longest=LONGEST)] if is_fallback else []


class Waiting:
    """An answer that has begun takes as long as it takes."""

    def __init__(self, app: ASGIApp, longest: float) -> None:
        self._app, self._longest = app, longest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = is_over = False

        async def passing(message: Message) -> None:
            nonlocal has_begun
            if not is_over:
                has_begun = True
                await send(message)

        answering = asyncio.ensure_future(self._app(scope, receive, passing))
        try:
            await asyncio.wait({answering}, timeout=self._longest)
            if has_begun or answering.done():
                await answering
                return
            is_over = True
            why = ServerUnavailable(f"no replica was ready within {self._longest:g} s", hint="Try again.")
            path, is_head = scope.get("path", ""), scope.get("method") == "HEAD"
            await send_problem(send, why, [], path=path, request_id="", is_head=is_head)
        finally:
            answering.cancel()
