"""Requests for an endpoint that has no replica wait for the first one, but not for ever.

Serve's fallback proxy keeps them while a replica starts. It would also keep them when the endpoint is
paused or removed meanwhile, or when no node has room for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

import ray
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from raykqi.cluster.serve_apps import PATH, running_replicas
from raykqi.errors import ServerUnavailable
from serve_api.inference.answers import send_problem

__all__ = ["Waiting", "middlewares"]

log = logging.getLogger(__name__)

LONGEST = 30.0  # seconds without a replica
LOOK = 2.0  # seconds between looks at what there is
FALLBACK = "-fallback-"  # is in the name of that proxy, and of no other actor of Serve's


def middlewares() -> list[Middleware]:
    """For Serve, which asks for them in every process that takes requests."""
    is_fallback = FALLBACK in (ray.get_runtime_context().get_actor_name() or "")
    return [Middleware(Waiting)] if is_fallback else []


class Waiting:
    """`running` says how many replicas each endpoint has. Where one is, its answer may take as long as it takes."""

    def __init__(
        self,
        app: ASGIApp,
        running: Callable[[], Mapping[str, int]] = running_replicas,
        *,
        longest: float = LONGEST,
        look: float = LOOK,
    ) -> None:
        self._app, self._running, self._longest, self._look = app, running, longest, look
        self._looking: asyncio.Task[Mapping[str, int] | None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        if scope["type"] != "http" or not path.startswith(f"{PATH}/"):
            await self._app(scope, receive, send)
            return
        has_begun = is_over = False

        async def passing(message: Message) -> None:
            nonlocal has_begun
            if not is_over:
                has_begun = True
                await send(message)

        answering = asyncio.ensure_future(self._app(scope, receive, passing))
        name = path.removeprefix(f"{PATH}/").partition("/")[0]
        since = asyncio.get_running_loop().time()
        try:
            while True:
                await asyncio.wait({answering}, timeout=self._look)
                why = "" if answering.done() or has_begun else await self._why_not(name, since)
                if answering.done() or has_begun:
                    await answering
                    return
                if why:
                    break
            is_over = True
            refused = ServerUnavailable(f"the endpoint {name} does not answer: {why}", hint="Try again.")
            await send_problem(send, refused, [], path=path, request_id="", is_head=scope["method"] == "HEAD")
        finally:
            answering.cancel()

    async def _why_not(self, name: str, since: float) -> str:
        """Why to wait no longer, or nothing."""
        replicas = await self._replicas()
        if replicas is None:
            return ""
        if name not in replicas:
            return "it was taken off"
        is_late = asyncio.get_running_loop().time() - since >= self._longest
        return f"no replica was ready within {self._longest:g} s" if is_late and not replicas[name] else ""

    async def _replicas(self) -> Mapping[str, int] | None:
        """One look for all that wait at that moment; None when there is nobody to ask."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._see())
        return await asyncio.shield(self._looking)

    async def _see(self) -> Mapping[str, int] | None:
        try:
            return await asyncio.to_thread(self._running)
        except Exception as error:
            log.info("Ray Serve is asked again what runs: %s", error)
            return None
