"""Who may ask: tokens are looked up at the controller, and remembered for a while.

What was known goes on to count while the controller is away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from hashlib import sha256

import msgspec

from raykqi.domain.access import Caller
from raykqi.errors import Forbidden, RaykqiError, ServerUnavailable, Unauthenticated, UnknownId
from serve_api.inference.seams import Controller

__all__ = ["Access", "bearer"]

KEPT = 30.0  # seconds, unless rights change before
KEPT_REFUSED = 5.0
KEPT_WHILE_AWAY = 600.0
MOST = 4_096
_callers = msgspec.msgpack.Decoder(Caller)


class _Known:
    __slots__ = ("access", "answer", "at")

    def __init__(self, answer: str | RaykqiError, at: float, access: int) -> None:
        self.answer, self.at, self.access = answer, at, access


class Access:
    """For one thread: the loop's. Only hashes of tokens are kept."""

    def __init__(self, controller: Controller, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._controller = controller
        self._name = name
        self._clock = clock
        self._project = ""
        self._is_public = False
        self._access = 0
        self._known: dict[bytes, _Known] = {}
        self._asking: dict[bytes, asyncio.Future[_Known]] = {}

    def set(self, project: str, *, is_public: bool, access: int) -> None:
        if project != self._project:
            self._known.clear()
        self._project, self._is_public, self._access = project, is_public, access

    def remembered(self, headers: Mapping[str, str]) -> str | None:
        """The user who asks, when that is known without asking anybody. Raises why they may not."""
        return "" if self._is_public else self._remembered(headers)

    def _remembered(self, headers: Mapping[str, str]) -> str | None:
        known = self._known.get(_key(bearer(headers)))
        if known is None or known.access != self._access:
            return None
        is_user = type(known.answer) is str
        if self._clock() - known.at >= (KEPT if is_user else KEPT_REFUSED):
            return None
        return self._said(known)

    async def user(self, headers: Mapping[str, str]) -> str:
        """The user who asks; "" is anybody. Raises why they may not."""
        return "" if self._is_public else await self.known_user(headers)

    async def known_user(self, headers: Mapping[str, str]) -> str:
        """The same for what anybody may not do, though anybody may ask."""
        found = self._remembered(headers)
        if found is not None:
            return found
        token = bearer(headers)
        if not token:
            raise Unauthenticated("no token was given", hint="Send one as `Authorization: Bearer …`.")
        key = _key(token)
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.ensure_future(self._look_up(key, token))
            asking.add_done_callback(lambda _: self._asking.pop(key, None))
        return self._said(await asyncio.shield(asking))

    async def _look_up(self, key: bytes, token: str) -> _Known:
        access, now = self._access, self._clock()
        try:
            caller = _callers.decode(await self._controller.admit(token, self._name))
            known = _Known(self._judged(caller), now, access)
        except Unauthenticated as error:
            known = _Known(error, now, access)
        except ServerUnavailable:
            before = self._known.get(key)
            if before is None or before.access != access or now - before.at >= KEPT_WHILE_AWAY:
                raise
            return before
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[key] = known
        return known

    def _judged(self, caller: Caller) -> str | RaykqiError:
        if caller.endpoint:
            if caller.endpoint == self._name:
                return caller.user
            return Forbidden(
                f"this token is for the endpoint {caller.endpoint}", hint="Ask with one for this endpoint."
            )
        if caller.may("viewer", self._project):
            return caller.user
        return UnknownId(f"there is no endpoint {self._name!r}", hint="`raykqi serve list` shows what there is.")

    def _said(self, known: _Known) -> str:
        if isinstance(known.answer, RaykqiError):
            # Each request raises one of its own: an error keeps where it was raised.
            raise type(known.answer)(known.answer.message, hint=known.answer.hint)
        return known.answer


def bearer(headers: Mapping[str, str]) -> str:
    kind, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def _key(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
