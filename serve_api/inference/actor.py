"""The controller of a workspace as a replica reaches it: an actor of the cluster that may be away for a while."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from ray.exceptions import RayError, RayTaskError

from raykqi.cluster.controller_actor import find_controller
from raykqi.errors import NotFound, RaykqiError, ServerUnavailable, Unauthenticated, UnknownId

__all__ = ["ActorController"]

log = logging.getLogger(__name__)
ANSWERING = 20.0  # seconds for what is answered at once


class ActorController:
    """For one loop. Looks for the actor again whenever it does not answer."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._actor: Any = None

    async def follow(self, report: bytes) -> bytes:
        actor = await self._found()
        return await self._answer(actor.wait.remote("follow", report))

    async def admit(self, token: str, endpoint: str) -> bytes:  # noqa: ARG002  the caller knows which it may ask
        found = await self._call("admit", token)
        if not found:
            raise Unauthenticated("the token is not valid", hint="It may have ended or been revoked; ask for another.")
        return found

    async def job(self, job: str) -> bytes:
        found = await self._call("job", job)
        if not found:
            raise UnknownId(f"there is no job {job}", hint="Ask for the id that POST /jobs answered.")
        return found

    async def generation(self) -> int:
        found: Any = await self._call("generation")
        return int(found)

    async def commit(self, commands: bytes) -> bytes:
        return await self._call("commit", commands)

    async def _call(self, method: str, *positional: object) -> bytes:
        actor = await self._found()
        try:
            async with asyncio.timeout(ANSWERING):
                return await self._answer(actor.call.remote(method, *positional))
        except TimeoutError as error:
            raise _away(error) from error

    async def _answer(self, reference: Any) -> bytes:
        try:
            answer: bytes = await reference
        except RayTaskError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, RaykqiError):
                raise cause from None
            log.exception("the controller failed")
            raise ServerUnavailable("the controller failed", hint="Its log says more; this is a defect.") from error
        except (RayError, ConnectionError) as error:
            self._actor = None
            raise _away(error) from error
        return answer

    async def _found(self) -> Any:
        if self._actor is None:
            try:
                self._actor = await asyncio.to_thread(find_controller, name=self._name)
            except (RayError, NotFound, ValueError, ConnectionError) as error:
                raise _away(error) from error
        return self._actor


def _away(error: BaseException) -> ServerUnavailable:
    return ServerUnavailable(
        f"the controller does not answer: {type(error).__name__}", hint="Try again: it comes back by itself."
    )
