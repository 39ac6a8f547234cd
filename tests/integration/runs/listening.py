"""A web server on this machine that keeps what it is sent and answers as a test wants it to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.integration.runs.bench import SOON

__all__ = ["Listener", "Reply", "Request", "listening"]


@dataclass(frozen=True)
class Request:
    path: str
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        decoded: dict[str, Any] = json.loads(self.raw)
        return decoded


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain"


def _agree(_: Request) -> Reply:
    return Reply()


@dataclass
class Listener:
    port: int
    answer: Callable[[Request], Reply] = _agree
    requests: list[Request] = field(default_factory=list)
    _came: threading.Condition = field(default_factory=threading.Condition)

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def statuses(self, path: str = "/") -> list[str]:
        return [request.body["status"] for request in self.requests if request.path == path]

    def until(self, reached: Callable[[list[Request]], bool]) -> list[Request]:
        """What has come, once that is `reached`."""
        with self._came:
            assert self._came.wait_for(lambda: reached(self.requests), SOON), [each.raw for each in self.requests]
            return list(self.requests)

    def take(self, request: Request) -> Reply:
        with self._came:
            self.requests.append(request)
            self._came.notify_all()
        return self.answer(request)


@contextmanager
def listening(port: int = 0, *, answer: Callable[[Request], Reply] = _agree) -> Iterator[Listener]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            reply = listener.take(Request(self.path, dict(self.headers), raw))
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(reply.body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    server = Server(("127.0.0.1", port), Handler)
    listener = Listener(server.server_address[1], answer)
    thread = threading.Thread(target=lambda: server.serve_forever(0.02))
    thread.start()
    try:
        yield listener
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
