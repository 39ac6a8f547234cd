"""An HTTP server that answers as a test has written down, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["INFO", "VERSION", "Act", "Asked", "Scripted", "answering", "break_off", "give", "problem", "scripted"]

VERSION = "9.9.9"
INFO = {"name": "raykqi", "version": VERSION, "api": 1, "workspace": "01939c1c-7d1e-7b0a-9f41-0d9a6c1e2f33"}
Act = Callable[[BaseHTTPRequestHandler], None]


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Scripted:
    """Each request takes the next of `script`; the last one stays."""

    url: str
    script: list[Act] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)

    def will(self, *acts: Act) -> None:
        self.script[:] = acts
        self.asked.clear()


def give(
    value: object = None, *, status: int = 200, headers: dict[str, str] | None = None, body: bytes | None = None
) -> Act:
    """That value as JSON, as a server of ours sends it; a header of None is left out."""

    def act(request: BaseHTTPRequestHandler) -> None:
        content = json.dumps(value).encode() if body is None else body
        sent = {"Content-Type": "application/json", "Raykqi-Version": VERSION, **(headers or {})}
        request.send_response(status)
        for name, text in sent.items():
            if text:
                request.send_header(name, text)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    return act


def problem(name: str, status: int, detail: str, *, headers: dict[str, str] | None = None, **more: object) -> Act:
    value = {"type": f"urn:raykqi:error:{name}", "title": name, "status": status, "detail": detail, **more}
    return give(value, status=status, headers={"Content-Type": "application/problem+json", **(headers or {})})


def break_off(request: BaseHTTPRequestHandler) -> None:
    """No answer at all."""
    request.close_connection = True


def answering(said: Scripted | None = None) -> type[BaseHTTPRequestHandler]:
    """What greets whoever comes, or does what is written down."""
    written = said or Scripted("", [give(INFO)])

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            written.asked.append(Asked(self.command, self.path, dict(self.headers), body))
            act = written.script.pop(0) if len(written.script) > 1 else written.script[0]
            act(self)
            self.wfile.flush()

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def scripted() -> Iterator[Scripted]:
    said = Scripted("")
    server = ThreadingHTTPServer(("127.0.0.1", 0), answering(said))
    server.daemon_threads = True
    said.url = f"http://127.0.0.1:{server.server_address[1]}"
    said.will(give(INFO))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield said
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
