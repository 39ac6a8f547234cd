"""An HTTP proxy on loopback in front of an S3 server, whose faults a test orders request by request.

    with FaultProxy(moto) as proxy:
        proxy.order(status(503), method="PUT", key="blobs/", times=2)
        store = proxy.front.store()

A fault is a function of an `Exchange`: it decides whether the server gets the request and what the
client hears. Requests for which nothing is ordered pass unchanged.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from tests.servers import S3Server

__all__ = [
    "Answer",
    "Exchange",
    "Fault",
    "FaultProxy",
    "Order",
    "cut",
    "first",
    "lost_answer",
    "no_connection",
    "slow",
    "status",
    "truncated",
]

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "expect"}
_CODES = {
    403: "AccessDenied",
    404: "NoSuchKey",
    409: "ConditionalRequestConflict",
    500: "InternalError",
    501: "NotImplemented",
    503: "SlowDown",
    507: "InsufficientStorage",
}


class Answer(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Exchange:
    """One request, read as far as a fault wants it, and the ways to answer it."""

    def __init__(self, handler: BaseHTTPRequestHandler, server: tuple[str, int], closing: threading.Event) -> None:
        self._handler = handler
        self._server = server
        self._body: bytes | None = None
        self.closing = closing
        self.method = handler.command
        self.target = unquote(handler.path).lstrip("/")

    def body(self) -> bytes:
        if self._body is None:
            length = int(self._handler.headers.get("Content-Length") or 0)
            self._body = self._handler.rfile.read(length)
            if len(self._body) < length:
                raise ConnectionResetError(f"the client sent {len(self._body)} of {length} bytes")
        return self._body

    def pieces(self, size: int) -> Iterator[bytes]:
        """The body as the client sends it, for faults that take their time over it."""
        left = int(self._handler.headers.get("Content-Length") or 0)
        self._body = b""
        while left and (piece := self._handler.rfile.read(min(left, size))):
            left -= len(piece)
            yield piece

    def forward(self) -> Answer:
        """What the server answers; `OSError` or `HTTPException` when it does not."""
        connection = http.client.HTTPConnection(*self._server, timeout=60)
        with contextlib.closing(connection):
            connection.putrequest(self.method, self._handler.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self._handler.headers.items():
                if name.lower() not in _HOP_BY_HOP:
                    connection.putheader(name, value)
            connection.endheaders(self.body())
            answer = connection.getresponse()
            return Answer(answer.status, answer.getheaders(), answer.read())

    def send(self, answer: Answer, *, only: int | None = None) -> None:
        """The answer, or the first bytes of its body and then the end of the connection."""
        self.body()
        handler = self._handler
        handler.send_response_only(answer.status)
        told_length = False
        for name, value in answer.headers:
            if name.lower() not in _HOP_BY_HOP:
                handler.send_header(name, value)
                told_length = told_length or name.lower() == "content-length"
        if not told_length and answer.status >= 200 and answer.status != 204:
            handler.send_header("Content-Length", str(len(answer.body)))
        handler.end_headers()
        handler.wfile.write(answer.body[:only])
        handler.close_connection = handler.close_connection or only is not None

    def hang_up(self) -> None:
        """Reset the connection, whatever of the request is still under way."""
        connection = self._handler.connection
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._handler.close_connection = True

    def pass_on(self) -> None:
        try:
            answer = self.forward()
        except (OSError, http.client.HTTPException):
            self.hang_up()
        else:
            self.send(answer)


Fault = Callable[[Exchange], None]


def status(code: int) -> Fault:
    """The server is not asked; the answer is an error document of S3."""
    text = f"<?xml version='1.0'?><Error><Code>{_CODES[code]}</Code><Message>ordered by a test</Message></Error>"
    answer = Answer(code, [("Content-Type", "application/xml")], text.encode())
    return lambda exchange: exchange.send(answer._replace(body=b"") if exchange.method == "HEAD" else answer)


def no_connection(exchange: Exchange) -> None:
    """The connection ends before the server has the request, often before the client has sent its body."""
    exchange.hang_up()


def lost_answer(exchange: Exchange) -> None:
    """The server does what it was asked; the client never hears of it."""
    exchange.forward()
    exchange.hang_up()


def cut(exchange: Exchange) -> None:
    """The connection ends in the middle of the answer's body."""
    answer = exchange.forward()
    exchange.send(answer, only=len(answer.body) // 2)


def truncated(exchange: Exchange) -> None:
    """Half of the body, which claims to be all of it."""
    answer = exchange.forward()
    headers = [(name, value) for name, value in answer.headers if name.lower() != "content-length"]
    exchange.send(answer._replace(headers=headers, body=answer.body[: len(answer.body) // 2]))


def slow(seconds: float) -> Fault:
    """The server is asked only after some time."""

    def wait(exchange: Exchange) -> None:
        exchange.closing.wait(seconds)
        exchange.pass_on()

    return wait


def first(act: Callable[[], object]) -> Fault:
    """Something happens in the test (a server dies, a signal is sent), then the request goes its way."""

    def act_and_pass_on(exchange: Exchange) -> None:
        exchange.body()
        act()
        exchange.pass_on()

    return act_and_pass_on


@dataclass
class Order:
    """A fault and the requests that get it: the first `times` after `skip` of those that match."""

    fault: Fault
    method: str = ""
    key: str = ""  # part of the unquoted path and query: `blobs/ab`, `partNumber=3`, `list-type`
    times: int | None = 1
    skip: int = 0
    hits: int = 0
    happened: threading.Event = field(default_factory=threading.Event)

    def takes(self, exchange: Exchange) -> bool:
        if self.method not in ("", exchange.method) or self.key not in exchange.target:
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None and self.hits >= self.times:
            return False
        self.hits += 1
        return True


class FaultProxy:
    """Use as a context; `front` is the server as seen through the proxy."""

    def __init__(self, server: S3Server) -> None:
        self._orders: list[Order] = []
        self._requests: list[str] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._listener = _Listener(self._handle)
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.05,), name="fault proxy")
        place = urlsplit(server.endpoint)
        self._server = str(place.hostname), int(place.port or 80)
        self.front = replace(server, endpoint=f"http://127.0.0.1:{self._listener.server_port}")

    def order(self, fault: Fault, *, method: str = "", key: str = "", times: int | None = 1, skip: int = 0) -> Order:
        """`times` None is for ever, until `clear`. Orders given earlier are served first."""
        order = Order(fault, method, key, times, skip)
        with self._lock:
            self._orders.append(order)
        return order

    def clear(self) -> None:
        with self._lock:
            self._orders.clear()

    @property
    def requests(self) -> list[str]:
        """Every request so far, as `PUT bucket/key?query`."""
        with self._lock:
            return list(self._requests)

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._listener.shutdown()
        self._listener.hang_up_all()
        self._listener.server_close()
        self._thread.join()
        assert self._listener.unexpected == []

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        exchange = Exchange(handler, self._server, self._closing)
        with self._lock:
            self._requests.append(f"{exchange.method} {exchange.target}")
            order = next((order for order in self._orders if order.takes(exchange)), None)
        if order is None:
            exchange.pass_on()
            return
        try:
            order.fault(exchange)
        except (OSError, http.client.HTTPException):
            exchange.hang_up()
        order.happened.set()


class _Listener(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = False

    def __init__(self, handle: Callable[[BaseHTTPRequestHandler], None]) -> None:
        self.unexpected: list[BaseException] = []
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), type("Handler", (_Handler,), {"handle_request": staticmethod(handle)}))

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        request.close()

    def hang_up_all(self) -> None:
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_: Any) -> None:
        error = sys.exception()
        if error is not None and not isinstance(error, OSError):
            self.unexpected.append(error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    handle_request: Callable[[BaseHTTPRequestHandler], None]

    def _serve(self) -> None:
        self.handle_request(self)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815 - the names that the base class calls

    def log_message(self, *_: Any) -> None:
        return
