"""One request of an endpoint while it is answered."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from starlette.types import Receive, Scope, Send

from serve_api.inference.answers import Headers

__all__ = ["READING", "WRITING", "Request", "Way"]

READING = ("GET", "HEAD")
WRITING = ("POST",)
# The headers that anything here or in a model's process looks at; browsers send many others.
READ = {
    name.encode(): name
    for name in (
        "accept",
        "accept-encoding",
        "authorization",
        "content-encoding",
        "content-length",
        "content-type",
        "inference-header-content-length",
        "x-request-id",
    )
}
_REQUEST_ID = re.compile(r"[-._A-Za-z0-9]{1,128}\Z")


class Request:
    """`headers` are those that are `READ`, `own` those that every answer to it has.

    `has_begun`: an answer is on its way.
    """

    __slots__ = ("has_begun", "headers", "id", "is_head", "method", "own", "path", "query", "receive", "root", "send")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, root = scope["path"], scope.get("root_path", "")
        self.root: str = root
        self.path: str = path[len(root) :] if root and path.startswith(root) else path
        self.method: str = scope["method"]
        self.is_head = self.method == "HEAD"
        self.query: bytes = scope.get("query_string", b"")
        self.headers = {READ[name]: value.decode("latin-1") for name, value in scope["headers"] if name in READ}
        given = self.headers.get("x-request-id", "")
        self.id = given if given and _REQUEST_ID.match(given) else secrets.token_hex(8)
        self.own: Headers = []
        self.has_begun = False
        self.receive, self.send = receive, send


class Way(NamedTuple):
    """What answers a path, and the methods that it takes."""

    methods: tuple[str, ...]
    answer: Callable[[Request], Awaitable[None]]
