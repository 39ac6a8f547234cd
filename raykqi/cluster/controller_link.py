"""The way to the controller's actor, for those who follow it from other processes of the cluster."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from raykqi.cluster.controller_actor import find_controller
from raykqi.errors import NotFound, RaykqiError, ServerUnavailable

__all__ = ["ControllerLink"]

log = logging.getLogger(__name__)

ANSWERING = 10.0  # seconds


class ControllerLink:
    """`make` is what brings the controller about where there is none; without it, one waits for it."""

    def __init__(self, name: str, make: Callable[[], Any] | None = None) -> None:
        self._name, self._make = name, make
        self._actor: Any = None

    def send(self, commands: bytes) -> Future[bytes]:
        answer: Future[bytes] = Future()
        try:
            self.begin()
            sent: Future[bytes] = self._actor.call.remote("commit", commands).future()
        except (RayError, NotFound, ValueError, ConnectionError) as error:
            self._actor = None
            answer.set_exception(_away(error))
        else:
            sent.add_done_callback(lambda done: self._pass_on(done, answer))
        return answer

    def ask(self, method: str, *positional: object) -> bytes:
        try:
            self.begin()
            answer: bytes = ray.get(self._actor.call.remote(method, *positional), timeout=ANSWERING)
        except (RayError, NotFound, ValueError, ConnectionError) as error:
            self._actor = None
            raise _away(error) from error
        return answer

    def begin(self) -> None:
        """Look for the controller, so that there is one."""
        if self._actor is None:
            self._actor = self._find()

    def close(self) -> None:
        """The controller stays."""

    def _find(self) -> Any:
        try:
            return find_controller(name=self._name)
        except NotFound:
            if self._make is None:
                raise
            log.info("there is no controller %s: it is made", self._name)
            return self._make()

    def _pass_on(self, sent: Future[bytes], answer: Future[bytes]) -> None:
        error = sent.exception()
        if error is None:
            answer.set_result(sent.result())
        elif isinstance(error, RayTaskError):
            log.error("the controller failed: %s", error)
            answer.set_exception(RaykqiError("the controller failed", hint="Its log says more; this is a defect."))
        else:
            self._actor = None
            answer.set_exception(_away(error))


def _away(error: BaseException) -> ServerUnavailable:
    return ServerUnavailable(
        f"the controller does not answer: {type(error).__name__}", hint="Try again: it comes back by itself."
    )
