"""What every request passes first and last: whom it may come from, its id, what it took, and how errors are told.

Web pages of others must not reach a server through the browser of whoever uses it: it answers only to
its own names (a name that was bound anew to this address is none), and changes nothing for a page of
another origin.
"""

from __future__ import annotations

import re
import secrets
import time
from math import ceil
from urllib.parse import parse_qsl, urlencode

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from raykqi import __version__
from raykqi.errors import Forbidden, RaykqiError, TooManyRequests
from serve_api.access_log import Note, tell_failure, tell_request
from serve_api.addresses import is_own_address
from serve_api.answering import send_bytes, send_problem
from serve_api.api import Api
from serve_api.callers import cookie_name, token_cookie
from serve_api.problems import problem_of

__all__ = ["HEALTH", "Gate"]

HEALTH = ("/healthz", "/readyz")  # asked by what knows addresses alone
SAFE = ("GET", "HEAD", "OPTIONS")
_REQUEST_ID = re.compile(r"[-._A-Za-z0-9]{1,128}\Z")
_ALWAYS = [
    (b"raykqi-version", __version__.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
]


class Gate:
    def __init__(self, app: ASGIApp, *, api: Api) -> None:
        self._app = app
        self._api = api
        self._options = api.options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        given = headers.get("x-request-id", "")
        note = Note(given if _REQUEST_ID.match(given) else secrets.token_hex(8), headers)
        scope["raykqi"] = note
        began = time.perf_counter()

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                note.status = message["status"]
                own = [(b"x-request-id", note.request_id.encode()), (b"raykqi-seq", b"%d" % self._api.workspace.seq)]
                message["headers"] = [*message.get("headers", ()), *_ALWAYS, *own]
            await send(message)

        self._api.measures.begun()
        try:
            self._check(scope, headers)
            if "token=" in (query := scope["query_string"].decode("latin-1")):
                await self._take_token(scope, receive, tell, headers, query)
            else:
                await self._app(scope, receive, tell)
        except Exception as error:
            if not isinstance(error, RaykqiError) or error.status >= 500:
                tell_failure(note, error)
            if note.status:
                raise  # in the middle of an answer, which must not look as if it were whole
            problem = problem_of(error, instance=scope["path"], request_id=note.request_id)
            await send_problem(tell, problem, _headers(error))
        finally:
            took = time.perf_counter() - began
            self._api.measures.ended(scope["method"], note.route, note.status, took)
            tell_request(note, scope, took)

    def _check(self, scope: Scope, headers: dict[str, str]) -> None:
        if scope["path"] in HEALTH:
            return
        options = self._options
        peer = (scope.get("client") or ("",))[0]
        if not options.is_cluster and peer and not is_own_address(peer):
            raise Forbidden("this address of the server is not for others", hint="Ask at the server's public address.")
        host = headers.get("host", "")
        name = host[: host.rfind("]") + 1] if host.startswith("[") else host.partition(":")[0]
        if "*" not in options.hosts and name.lower() not in options.hosts:
            raise Forbidden(f"this server is not called {name!r}", hint="Ask for it by its own name or address.")
        if scope["method"] in SAFE:
            return
        origin = headers.get("origin")
        if origin is None:
            is_ours = headers.get("sec-fetch-site", "none") in ("none", "same-origin")
        else:
            is_ours = origin.partition("://")[2] == host or origin in options.origins
        if not is_ours:
            raise Forbidden("a web page of another origin may change nothing here", hint="Use a page of this server.")

    async def _take_token(
        self, scope: Scope, receive: Receive, tell: Send, headers: dict[str, str], query: str
    ) -> None:
        """A browser brings its token once, in the address; from then on in a cookie, which no history shows."""
        pairs = parse_qsl(query, keep_blank_values=True)
        token = next((value for name, value in pairs if name == "token"), "")
        if not token or scope["method"] != "GET" or "text/html" not in headers.get("accept", ""):
            await self._app(scope, receive, tell)
            return
        await self._api.caller(token)
        rest = [(name, value) for name, value in pairs if name != "token"]
        is_secure = self._options.is_secure
        name = cookie_name(headers.get("host", ""), is_secure=is_secure)
        seconds = int(self._options.session_hours * 3600)
        # A path that begins with two slashes would lead to another host.
        path = "/" + scope["path"].lstrip("/\\")
        answer = {
            "Location": f"{path}?{urlencode(rest)}" if rest else path,
            "Set-Cookie": token_cookie(name, token, seconds=seconds, is_secure=is_secure),
            "Cache-Control": "no-store",
        }
        await send_bytes(tell, 303, b"", "text/plain", answer)


def _headers(error: Exception) -> dict[str, str]:
    return {"Retry-After": str(ceil(error.retry_after))} if isinstance(error, TooManyRequests) else {}
