"""Requests to one server: a pool of connections, patience with a server that is away, and its answers as values.

What is sent again is only what does no more when it arrives twice: questions, and requests with a key by
which the server knows that it has answered them already.
"""

from __future__ import annotations

import secrets
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar, cast
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from raykqi.client.failures import VERSION_HEADER, failure_of, in_between, not_a_server, unreachable
from raykqi.client.patience import Patience
from raykqi.client.target import Target
from raykqi.errors import RaykqiError, ServerError, ServerUnavailable, StorageUnavailable, VersionMismatch

__all__ = ["PIECE", "Content", "Params", "Transport", "place"]

Answer = TypeVar("Answer")
Params = Sequence[tuple[str, str | int | float | bool | None]]
Content = bytes | Callable[[], Iterator[bytes]]  # a function makes the body anew for each attempt

SEQ_HEADER = "Raykqi-Seq"
KEY_HEADER = "Idempotency-Key"
AWAY = (429, 502, 503, 504)
LOOPBACK = ("127.0.0.1", "localhost", "::1")
CONNECTIONS = 64
CONNECTING = 10.0  # seconds
PIECE = 1 << 20


def place(*parts: str) -> str:
    """A path of these parts, whatever characters they hold."""
    return "/".join(quote(part, safe="") for part in parts)


class Transport:
    """Safe to use from many threads. Its token is in no text that it makes."""

    def __init__(self, target: Target, *, timeout: float, version: str) -> None:
        self.url = target.url
        self.timeout = timeout
        self._version = version
        self._seq = 0
        self._has_met = False
        self._is_ours = False  # from the first answer of a raykqi server on
        self._lock = threading.Lock()
        self._closed = threading.Event()
        headers = {"User-Agent": f"raykqi/{version}", VERSION_HEADER: version}
        if target.token:
            headers["Authorization"] = f"Bearer {target.token}"
        self._pool = httpx.Client(
            base_url=target.url,
            headers=headers,
            timeout=httpx.Timeout(timeout, connect=min(CONNECTING, timeout)),
            limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
            verify=_trusted(target.url),
            # What a proxy would be asked for this machine, it would look for on its own.
            trust_env=urlsplit(target.url).hostname not in LOOPBACK,
        )

    def __repr__(self) -> str:
        return f"<connection to {self.url}>"

    def close(self) -> None:
        self._closed.set()
        self._pool.close()

    @property
    def is_closed(self) -> bool:
        return self._closed.is_set()

    def pause(self, seconds: float) -> None:
        """Before the next attempt; closing ends it."""
        self._closed.wait(seconds)

    def get(self, path: str, answer: type[Answer], params: Params = ()) -> Answer:
        return self.ask("GET", path, answer, params=params)

    def ask(
        self,
        method: str,
        path: str,
        answer: type[Answer],
        *,
        params: Params = (),
        body: object = None,
        content: Content | None = None,
        headers: Mapping[str, str] | None = None,
        repeats: bool = True,
        patient: bool = False,
    ) -> Answer:
        """The answer as a value. `repeats` is false for what must not arrive twice; `patient` waits however long."""
        own = dict(headers or {})
        if body is not None:
            content = msgspec.json.encode(body)
            own.setdefault("Content-Type", "application/json")

        def attempt() -> Answer:
            with self._open(method, path, params, content, own, patient=patient) as response:
                return self._decode(response.read(), answer, response)

        if method != "GET":
            own.setdefault(KEY_HEADER, secrets.token_hex(16))
        return self._patiently(attempt, repeats=repeats)

    @contextmanager
    def stream(
        self,
        path: str,
        *,
        params: Params = (),
        headers: Mapping[str, str] | None = None,
        within: float | None = None,
    ) -> Iterator[httpx.Response]:
        """An answer to read piece by piece, once it has begun. `within`: the most seconds between two pieces."""
        own = {"Accept-Encoding": "identity", **(headers or {})}
        opened = self._patiently(lambda: self._begin("GET", path, params, None, own, within or self.timeout))
        try:
            yield opened
        except httpx.TransportError as error:
            raise unreachable(error, self.url) from error
        finally:
            opened.close()

    def _patiently(self, attempt: Callable[[], Answer], *, repeats: bool = True) -> Answer:
        patience = Patience(self.timeout)
        while True:
            try:
                return attempt()
            except httpx.TransportError as error:
                failure = unreachable(error, self.url)
                if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
                    hopeless = not isinstance(failure, ServerUnavailable) or "no host" in failure.message
                    limit = None if self._has_met else patience.first_contact
                else:
                    hopeless, limit = not repeats, None
                    if hopeless:
                        failure.hint = f"It may have done what was asked: look before you ask again. {failure.hint}"
                again = None if hopeless else patience.next(0.0, limit)
                if again is None or self.is_closed:
                    raise failure from error
            except _Away as away:
                again = patience.next(away.after, None) if repeats else None
                if again is None or self.is_closed:
                    raise away.failure from None
            self.pause(again)

    @contextmanager
    def _open(
        self,
        method: str,
        path: str,
        params: Params,
        content: Content | None,
        headers: Mapping[str, str],
        *,
        patient: bool,
    ) -> Iterator[httpx.Response]:
        response = self._begin(method, path, params, content, headers, None if patient else self.timeout)
        try:
            yield response
        finally:
            response.close()

    def _begin(
        self,
        method: str,
        path: str,
        params: Params,
        content: Content | None,
        headers: Mapping[str, str],
        within: float | None,
    ) -> httpx.Response:
        """One attempt, up to the headers of an answer that is no error."""
        own = {**headers, SEQ_HEADER: str(self._seq)} if self._seq else dict(headers)
        request = self._pool.build_request(
            method,
            path,
            params=[(name, _text(value)) for name, value in params if value is not None],
            content=content() if callable(content) else content,
            headers=own,
            timeout=httpx.Timeout(self.timeout, connect=min(CONNECTING, self.timeout), read=within),
        )
        response = self._pool.send(request, stream=True)
        try:
            self._has_met = True
            self._note(response)
            self._check(response)
        except BaseException:
            response.close()
            raise
        return response

    def _check(self, response: httpx.Response) -> None:
        """Raises what an answer says that is not what was asked for."""
        if response.is_success:
            if VERSION_HEADER not in response.headers:
                raise not_a_server(self.url, f"its answer says no {VERSION_HEADER}")
            self._is_ours = True
            return
        if response.is_redirect:
            where = response.headers.get("Location", "nowhere")
            raise ServerError(f"{self.url} leads elsewhere: to {where}", hint="Give the address that it leads to.")
        response.read()
        failure = failure_of(response, self.url, self._version)
        # While a server comes up again, what listens for it answers 404 until it knows the way.
        in_its_place = response.status_code >= 500 or response.status_code == 404
        if self._is_ours and in_its_place and VERSION_HEADER not in response.headers:
            raise _Away(in_between(self.url, response.status_code), 0.0)
        if response.status_code in AWAY and not isinstance(failure, StorageUnavailable):
            raise _Away(failure, _seconds(response.headers.get("Retry-After", "")))
        raise failure

    def _note(self, response: httpx.Response) -> None:
        with suppress(ValueError):
            seen = int(response.headers.get(SEQ_HEADER, 0))
            with self._lock:
                self._seq = max(self._seq, seen)

    def _decode(self, content: bytes, answer: type[Answer], response: httpx.Response) -> Answer:
        if answer is bytes:
            return cast("Answer", content)
        if not content and answer is type(None):
            return None
        try:
            return msgspec.json.decode(content, type=answer)
        except (msgspec.DecodeError, RecursionError) as error:
            theirs = response.headers.get(VERSION_HEADER, "")
            raise VersionMismatch(
                f"the server at {self.url} has version {theirs} and answered what this client does not read: {error}",
                hint=f"This client has version {self._version}: use the same on both sides.",
            ) from error


class _Away(Exception):
    """The server said that it is not there for now, and perhaps for how long."""

    def __init__(self, failure: RaykqiError, after: float) -> None:
        super().__init__(failure)
        self.failure = failure
        self.after = after


def _trusted(url: str) -> ssl.SSLContext:
    """Authorities as the environment names them (SSL_CERT_FILE), else the usual ones; without TLS none are read."""
    return httpx.create_ssl_context() if url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _seconds(text: str) -> float:
    try:
        return max(0.0, float(text))
    except ValueError:
        return 0.0


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
