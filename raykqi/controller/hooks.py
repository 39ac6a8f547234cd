"""Asks hooks whether a run may go on, and tells those that want to know that it has.

What a hook is asked and told is the run as JSON. Only the answer to the question before `starting` may
say more than yes or no: variables for the run's environment.
"""

from __future__ import annotations

import logging
import queue
import re
import threading
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from raykqi.controller.posting import THREADS, Answer, Poster
from raykqi.domain.hooks import Hooks, show_url
from raykqi.domain.run import Run, RunStatus
from raykqi.domain.run_record import run_record

__all__ = ["Asking", "Refused", "Telling"]

log = logging.getLogger(__name__)

JSON = "application/json"
MOST_TOLD = 10_000  # that wait to be told; what comes on top is not
_VARIABLE = re.compile(r"[^=\0]+\Z")
_RESERVED = ("RAY_", "RAYKQI_")


class Refused(Exception):
    """A hook did not agree. `kind` stays the same as long as its answer is in essence the same."""

    def __init__(self, url: str, kind: str, said: str) -> None:
        self.kind = f"hook {show_url(url)} {kind}"
        self.reason = f"hook {show_url(url)} {said}"
        super().__init__(self.reason)


class _Extension(msgspec.Struct, frozen=True):
    env: dict[str, str] = {}


class _Extensions(msgspec.Struct, frozen=True, rename="camel"):
    raykqi_extension: _Extension = _Extension()
    knitfab_extension: _Extension = _Extension()


class Asking:
    """The `before` hooks."""

    def __init__(self, hooks: Hooks) -> None:
        self._urls = hooks.before
        self._poster = Poster(hooks.timeout)

    def ask(self, run: Run) -> dict[str, str]:
        """The variables that hooks add to the run, once all of them agree that it goes on; else `Refused`."""
        if not self._urls:
            return {}
        env: dict[str, str] = {}
        body = _body(run, run.status)
        for url in self._urls:
            answer = self._poster.post(url, body, {})
            if not answer.is_good:
                raise Refused(url, answer.kind, str(answer))
            if run.status == "ready" and answer.content_type == JSON:
                env |= _env(url, answer)
        return env

    def close(self) -> None:
        self._poster.close()


class Telling:
    """The `after` hooks: in order, each at most once, and nobody waits for them."""

    def __init__(self, hooks: Hooks) -> None:
        self._urls = hooks.after
        self._timeout = hooks.timeout
        self._poster = Poster(hooks.timeout)
        self._waiting: queue.Queue[bytes | None] = queue.Queue(MOST_TOLD)
        self._is_leaving = False
        self._thread = threading.Thread(target=self._work, name=f"{THREADS}-after", daemon=True)
        if self._urls:
            self._thread.start()

    def tell(self, runs: Sequence[Run], status: RunStatus) -> None:
        if not self._urls:
            return
        for run in runs:
            with suppress(queue.Full):
                self._waiting.put_nowait(_body(run, status))

    def close(self) -> None:
        """Tell what is still to be told, for as long as one answer may take."""
        if self._urls:
            with suppress(queue.Full):
                self._waiting.put(None, timeout=self._timeout)
            self._thread.join(self._timeout)
            self._is_leaving = True
        self._poster.close()

    def _work(self) -> None:
        while not self._is_leaving and (body := self._waiting.get()) is not None:
            for url in self._urls:
                answer = self._poster.post(url, body, {})
                if not answer.is_good:
                    log.info("hook %s %s; it is not told again", show_url(url), answer.kind)


def _body(run: Run, status: RunStatus) -> bytes:
    return msgspec.json.encode(run_record(run) | {"status": status, "doing": None})


def _env(url: str, answer: Answer) -> dict[str, str]:
    try:
        told = msgspec.json.decode(answer.body)
        extensions = msgspec.convert(told, _Extensions) if isinstance(told, dict) else _Extensions()
    except (ValueError, RecursionError) as error:
        raise Refused(url, "answered JSON that cannot be read", f"answered JSON that cannot be read: {error}") from None
    env = extensions.knitfab_extension.env | extensions.raykqi_extension.env
    for name in env:
        if name.upper().startswith(_RESERVED):
            raise Refused(url, f"may not set {name!r}", f"may not set {name!r}: such names are those of Ray and raykqi")
        if not _VARIABLE.match(name) or "\0" in env[name]:
            raise Refused(url, "answered no variable", f"answered {name!r}, which cannot be a variable")
    return env
