"""Answers of a replica as they go over the line: headers, problems, and what is known without asking a model."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

import msgspec
from starlette.types import Send

from raykqi.errors import NotFound, RaykqiError, TooManyRequests
from raykqi.serving.frames import Body
from raykqi.serving.predictor import About, TensorSpec
from serve_api.inference.seams import NotAllowed
from serve_api.problems import MEDIA_TYPE, problem_of

__all__ = ["Headers", "metadata", "model_metadata", "send", "send_json", "send_problem", "server_metadata", "unknown"]

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


def server_metadata(version: str) -> dict[str, Any]:
    return {"name": "raykqi", "version": version, "extensions": ["binary_tensor_data"]}


def metadata(name: str, revision: int, data: str, about: About) -> dict[str, Any]:
    """In our own words, with the card."""
    said: dict[str, Any] = {
        "endpoint": name,
        "revision": revision,
        "data": data,
        "kind": about.kind,
        "platform": about.platform,
    }
    said |= {"inputs": [_tensor(each) for each in about.inputs], "outputs": [_tensor(each) for each in about.outputs]}
    said["card"] = about.card
    return said | {"batches": about.batches, "streams": about.streams}


def model_metadata(name: str, versions: list[str], about: About) -> dict[str, Any]:
    """As the protocol has it; a shape that may be any is left open."""
    return {
        "name": name,
        "versions": versions,
        "platform": about.platform,
        "inputs": [_tensor(each) for each in about.inputs],
        "outputs": [_tensor(each) for each in about.outputs],
    }


def _tensor(spec: TensorSpec) -> Mapping[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape) or [-1]}
