"""One line of JSON for each request: who asked for what, how it went. Never a query, a token or a body."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TextIO

import msgspec
from starlette.types import Scope

__all__ = ["Note", "log_to", "tell_failure", "tell_request"]

access = logging.getLogger("raykqi.api.access")
log = logging.getLogger("raykqi.api")
_encoder = msgspec.json.Encoder()


class Note:
    """What becomes known of a request while it is answered."""

    __slots__ = ("headers", "project", "request_id", "route", "run", "status", "user")

    def __init__(self, request_id: str, headers: dict[str, str]) -> None:
        self.request_id = request_id
        self.headers = headers
        self.route = ""
        self.project = self.run = self.user = ""
        self.status = 0


class Line(msgspec.Struct, omit_defaults=True):
    time: str
    level: str
    event: str
    request_id: str
    method: str = ""
    path: str = ""
    route: str = ""
    status: int = 0
    ms: float = 0.0
    user: str = ""
    project: str = ""
    run: str = ""
    peer: str = ""
    error: str = ""


def tell_request(note: Note, scope: Scope, seconds: float) -> None:
    if not access.isEnabledFor(logging.INFO):
        return
    line = Line(
        time=_now(),
        level="info",
        event="request",
        request_id=note.request_id,
        method=scope["method"],
        path=scope["path"],
        route=note.route,
        status=note.status,
        ms=round(seconds * 1000, 2),
        user=note.user,
        project=note.project,
        run=note.run,
        peer=(scope.get("client") or ("",))[0],
    )
    access.info("%s", _encoder.encode(line).decode())


def tell_failure(note: Note, error: BaseException) -> None:
    """For whoever looks after the server: the cause of an answer that says nothing of it."""
    about = {"request_id": note.request_id}
    log.error("request %s failed: %s", note.request_id, type(error).__name__, exc_info=error, extra=about)


def log_to(stream: TextIO) -> None:
    """All of the server's log as lines of JSON."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Lines())
    for logger in (logging.getLogger("raykqi"), access):
        logger.setLevel(logging.INFO)
    logging.getLogger("raykqi").addHandler(handler)


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        if record.name == access.name:
            return record.getMessage()
        text = record.getMessage()
        error = self.formatException(record.exc_info) if record.exc_info else ""
        line = Line(_now(), record.levelname.lower(), text, getattr(record, "request_id", ""), error=error)
        return _encoder.encode(line).decode()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
