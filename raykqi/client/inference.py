"""One request to an endpoint, as anybody would send it; patient while it wakes, or while its queue is full."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import httpx

from raykqi.client.failures import failure_of, unreachable
from raykqi.client.patience import Patience
from raykqi.client.target import Target
from raykqi.client.transport import LOOPBACK, place

__all__ = ["Answered", "ask_endpoint", "media_type_of"]

AWAY = (429, 503)
CONNECTING = 10.0  # seconds
OTHERS = {".npy": "application/octet-stream", ".webp": "image/webp", ".jsonl": "application/jsonl"}


class Answered(NamedTuple):
    """`pieces` come as the endpoint sends them; `data` and `revision` are of the model that answered."""

    media_type: str
    data: str
    revision: int
    pieces: Iterator[bytes]


def media_type_of(path: str) -> str:
    """What a file is, by its ending."""
    ending = path[path.rfind(".") :].lower() if "." in path else ""
    guessed, _ = mimetypes.guess_type(path)
    return OTHERS.get(ending) or guessed or "application/octet-stream"


@contextmanager
def ask_endpoint(
    target: Target, name: str, path: str, content: bytes, *, media_type: str, version: str, timeout: float
) -> Iterator[Answered]:
    """The answer of `/endpoints/NAME/PATH`. What nobody has begun to answer is asked again, for `timeout` seconds."""
    headers: dict[str, str] = {"User-Agent": f"raykqi/{version}"}
    if content:
        headers["Content-Type"] = media_type
    if target.token:
        headers["Authorization"] = f"Bearer {target.token}"
    is_near = httpx.URL(target.url).host in LOOPBACK
    with httpx.Client(timeout=httpx.Timeout(timeout, connect=CONNECTING), trust_env=not is_near) as client:
        response = _patiently(client, target.url, f"/endpoints/{place(name)}/{path}", content, headers, timeout)
        try:
            if not response.is_success:
                response.read()
                raise failure_of(response, target.url, version)
            said = response.headers
            revision = said.get("raykqi-revision", "")
            yield Answered(
                said.get("Content-Type", ""),
                said.get("raykqi-data", ""),
                int(revision) if revision.isdigit() else 0,
                response.iter_bytes(),
            )
        except httpx.TransportError as error:
            raise unreachable(error, target.url) from error
        finally:
            response.close()


def _patiently(
    client: httpx.Client, url: str, path: str, content: bytes, headers: Mapping[str, str], timeout: float
) -> httpx.Response:
    patience = Patience(timeout)
    while True:
        try:
            request = client.build_request("POST", f"{url}{path}", content=content, headers=headers)
            response = client.send(request, stream=True)
        except httpx.TransportError as error:
            raise unreachable(error, url) from error
        after = response.headers.get("Retry-After", "") if response.status_code in AWAY else ""
        again = patience.next(float(after), None) if after.isdigit() else None
        if again is None:
            return response
        response.close()
        patience.wait(again)
