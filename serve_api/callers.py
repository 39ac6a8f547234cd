"""Who asks: the token of a request, and whom it stands for, remembered for as long as nothing was committed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING

from raykqi.domain.access import Caller

if TYPE_CHECKING:
    from raykqi.workspace import Workspace

__all__ = ["NOBODY", "Callers", "cookie_name", "token_cookie", "token_of"]

NOBODY = Caller("")
MOST = 4_096
KEPT = 0.25  # seconds for which it is also remembered while others commit


class Callers:
    """For one thread: the loop's. Only hashes of tokens are kept."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._known: dict[bytes, tuple[int, float, Caller]] = {}

    def remembered(self, token: str) -> Caller | None:
        known = self._known.get(_key(token))
        if known is None:
            return None
        seq, since, caller = known
        age = time.monotonic() - since
        # Tokens end with time, too, and no commit tells of that.
        return caller if age < KEPT or (age < 4 * KEPT and seq == self._workspace.seq) else None

    def look_up(self, token: str) -> tuple[int, Caller]:
        """In a thread. Raises `Unauthenticated` when the token stands for nobody (any more)."""
        seq = self._workspace.seq
        return seq, self._workspace.caller(token)

    def remember(self, token: str, seq: int, caller: Caller) -> None:
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[_key(token)] = (seq, time.monotonic(), caller)

    def forget(self) -> None:
        """After a change of rights made here: it counts from now on."""
        self._known.clear()


def token_of(headers: Mapping[str, str], cookie: str) -> str:
    """From `Authorization: Bearer`, else from the cookie of that name."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return token.strip()
    if "cookie" not in headers:
        return ""
    try:
        jar = SimpleCookie(headers["cookie"])
    except CookieError:
        return ""
    return jar[cookie].value if cookie in jar else ""


def cookie_name(host: str, *, is_secure: bool) -> str:
    """Browsers send cookies to every port of a host: each server has one of its own."""
    _, _, port = host.rpartition(":")
    name = f"raykqi-{port if port.isdigit() else 'token'}"
    return f"__Host-{name}" if is_secure else name


def token_cookie(name: str, token: str, *, seconds: int, is_secure: bool) -> str:
    """A `Set-Cookie` that no script can read; no token takes it away."""
    age = seconds if token else 0
    return f"{name}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={age}{'; Secure' if is_secure else ''}"


def _key(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
