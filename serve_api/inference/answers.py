"""Answers of a replica as they go over the line: headers and problems."""

from __future__ import annotations

from math import ceil

import msgspec
from starlette.types import Send

from raykqi.errors import NotFound, RaykqiError, TooManyRequests
from raykqi.serving.frames import Body
from serve_api.inference.seams import NotAllowed
from serve_api.problems import MEDIA_TYPE, problem_of

__all__ = ["Headers", "send", "send_json", "send_problem", "unknown"]

JSON = (b"content-type", b"application/json")
PATHS = (
    "GET /health, /metadata, /jobs/ID; POST /predict, /predict/label, /predict/test, /predict/stream, /jobs; "
    "and /v2 as the Open Inference Protocol has it"
)
Headers = list[tuple[bytes, bytes]]


async def send(sending: Send, status: int, headers: Headers, body: Body, *, is_head: bool = False) -> None:
    headers.append((b"content-length", b"%d" % len(body)))
    await sending({"type": "http.response.start", "status": status, "headers": headers})
    await sending({"type": "http.response.body", "body": b"" if is_head else body})


async def send_json(sending: Send, status: int, headers: Headers, value: object, *, is_head: bool = False) -> None:
    await send(sending, status, [*headers, JSON], msgspec.json.encode(value), is_head=is_head)


async def send_problem(
    sending: Send, error: Exception, headers: Headers, *, path: str, request_id: str, is_head: bool = False
) -> int:
    """`error` holds the words for clients of the protocol; its status."""
    problem = problem_of(error, instance=path, request_id=request_id)
    detail = problem.detail or problem.title
    said = f"{detail}{'' if detail.endswith('.') else '.'} {problem.hint}" if problem.hint else detail
    fields = [*headers, (b"content-type", MEDIA_TYPE.encode())]
    if problem.status == 401:
        fields.append((b"www-authenticate", b'Bearer realm="raykqi"'))
    if problem.status in (429, 503):
        seconds = ceil(error.retry_after) if isinstance(error, TooManyRequests) else 1
        fields.append((b"retry-after", b"%d" % max(1, seconds)))
    if isinstance(error, NotAllowed):
        fields.append((b"allow", error.allow.encode()))
    body = msgspec.json.encode(msgspec.to_builtins(problem) | {"error": said})
    await send(sending, problem.status, fields, body, is_head=is_head)
    return problem.status


def unknown(path: str) -> RaykqiError:
    return NotFound(f"there is nothing at {path[:200]!r}", hint=f"There are {PATHS}.")
