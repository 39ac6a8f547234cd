"""Requests straight to the bucket, by URLs that the server signed. They carry no token of ours."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property

import httpx

from raykqi.client.patience import Patience
from raykqi.client.transport import PIECE
from raykqi.domain.transfer import Presigned

__all__ = ["Bucket"]

CONNECTING = 5.0  # seconds
ATTEMPTS_IN = 10.0  # seconds; after that the bytes go by way of the server


class Bucket:
    """`is_offered` becomes false when the server signs no URLs, or this machine does not reach the bucket."""

    def __init__(self, timeout: float) -> None:
        self.is_offered = True
        self._timeout = timeout
        self._lock = threading.Lock()

    def __enter__(self) -> Bucket:
        return self

    def __exit__(self, *_: object) -> None:
        if "_made" in self.__dict__:
            self._made.close()

    def put(self, request: Presigned, data: bytes) -> bool:
        """Whether the bucket took it."""
        patience = Patience(ATTEMPTS_IN)
        while True:
            try:
                answer = self._pool.request(request.method, request.url, content=data, headers=request.headers)
                if answer.is_success:
                    return True
                if answer.status_code < 500:
                    return False
            except httpx.ConnectError:
                self.is_offered = False
                return False
            except httpx.TransportError:
                pass
            pause = patience.next(0.0, None)
            if pause is None:
                return False
            patience.wait(pause)

    @property
    def _pool(self) -> httpx.Client:
        """Made when it is needed, which for most servers it is not."""
        with self._lock:
            return self._made

    @cached_property
    def _made(self) -> httpx.Client:
        limits = httpx.Limits(max_connections=32, max_keepalive_connections=32)
        return httpx.Client(timeout=httpx.Timeout(self._timeout, connect=min(CONNECTING, self._timeout)), limits=limits)

    @contextmanager
    def get(self, url: str, headers: Mapping[str, str]) -> Iterator[Iterator[bytes] | None]:
        """The bytes, or None when the bucket gives none; a broken connection raises `httpx.TransportError`."""
        try:
            with self._pool.stream("GET", url, headers={"Accept-Encoding": "identity", **headers}) as answer:
                yield answer.iter_bytes(PIECE) if answer.is_success else None
        except httpx.ConnectError:
            self.is_offered = False
            raise
