"""Who asks: the token of a request, and whom it stands for, remembered for a moment."""

from __future__ import annotations

import time
from collections.abc import Mapping
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING

from raykqi.domain.access import Caller

if TYPE_CHECKING:
    from raykqi.workspace import Workspace

__all__ = ["NOBODY", "Callers", "cookie_name", "cookie_of", "token_cookie", "token_of"]

NOBODY = Caller("")
MOST = 4_096
KEPT = 0.5  # seconds: tokens end with time, and those of runs with their runs


class Callers:
    """For one thread: the loop's. Only hashes of tokens are kept, and only while nobody's rights change."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._known: dict[bytes, tuple[int, float, Caller]] = {}

    def remembered(self, token: str) -> Caller | None:
        known = self._known.get(_key(token))
        if known is None:
            return None
        deeds, since, caller = known
        return caller if time.monotonic() - since < KEPT and deeds == self._workspace.deeds else None

    def look_up(self, token: str) -> tuple[int, Caller]:
        """In a thread. Raises `Unauthenticated` when the token stands for nobody (any more)."""
        deeds = self._workspace.deeds
        return deeds, self._workspace.caller(token)

    def remember(self, token: str, deeds: int, caller: Caller) -> None:
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[_key(token)] = (deeds, time.monotonic(), caller)


def token_of(headers: Mapping[str, str], cookie: str) -> str:
    """From `Authorization: Bearer`, else from the cookie of that name."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return token.strip()
    return cookie_of(headers, cookie)


def cookie_of(headers: Mapping[str, str], name: str) -> str:
    """The value of one cookie, or nothing."""
    if "cookie" not in headers:
        return ""
    try:
        jar = SimpleCookie(headers["cookie"])
    except CookieError:
        return ""
    return jar[name].value if name in jar else ""


def cookie_name(host: str, *, is_secure: bool) -> str:
    """Browsers send cookies to every port of a host: each server has one of its own."""
    _, _, port = host.rpartition(":")
    name = f"raykqi-{port if port.isdigit() else 'token'}"
    return f"__Host-{name}" if is_secure else name


def token_cookie(name: str, token: str, *, seconds: int, is_secure: bool) -> str:
    """A `Set-Cookie` that no script can read; no token takes it away."""
    age = seconds if token else 0
    return f"{name}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}{'; Secure' if is_secure else ''}"


def _key(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
