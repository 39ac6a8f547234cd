"""The least that a load generator needs: HTTP/1.1 over kept connections, so that it takes little of two cores."""

from __future__ import annotations

import asyncio
import http.client
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

__all__ = ["Load", "download_seconds", "make_request", "run_load"]

HEAD_END = b"\r\n\r\n"
PIECE = 1 << 20


@dataclass
class Load:
    """What came of it: answers by status, and how long each took."""

    seconds: float
    statuses: dict[int, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return sum(self.statuses.values()) / self.seconds

    @property
    def p50_ms(self) -> float:
        return statistics.median(self.latencies) * 1000

    def require(self, status: int) -> Load:
        if set(self.statuses) != {status}:
            raise SystemExit(f"not all were answered with {status}: {self.statuses}")
        return self


def make_request(
    method: str, url: str, *, token: str = "", body: bytes = b"", headers: Mapping[str, str] = {}
) -> bytes:
    """The bytes of a request, made before the clock runs."""
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    lines = [f"{method} {target} HTTP/1.1", f"Host: {parts.netloc}"]
    lines += [f"Authorization: Bearer {token}"] if token else []
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    lines += [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join(lines).encode() + HEAD_END + body


def run_load(url: str, requests: Callable[[], Iterator[bytes]], *, clients: int, seconds: float) -> Load:
    """Each client sends the next request when it has the answer to the last; `requests` are shared by all."""
    return asyncio.run(_run(url, requests(), clients, seconds))


async def _run(url: str, requests: Iterator[bytes], clients: int, seconds: float) -> Load:
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    load = Load(0.0)
    began = time.perf_counter()

    async def work() -> None:
        """A proxy may close a connection after any answer, as it does when its configuration changes."""
        is_over = False
        while not is_over:
            over: asyncio.Future[bool] = loop.create_future()
            await loop.create_connection(
                lambda over=over: _Client(load, requests, began + seconds, over), parts.hostname, parts.port
            )
            is_over = await over

    await asyncio.gather(*(work() for _ in range(clients)))
    load.seconds = time.perf_counter() - began
    return load


class _Client(asyncio.Protocol):
    def __init__(self, load: Load, requests: Iterator[bytes], end: float, over: asyncio.Future[bool]) -> None:
        self._load, self._requests, self._end, self._over = load, requests, end, over
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(HEAD_END)
        if head < 0:
            return
        fields = self._buffer[:head].lower()
        at = fields.find(b"content-length:")
        if at < 0:
            raise SystemExit(f"an answer without a length: {self._buffer[:200]!r}")
        if len(self._buffer) < head + len(HEAD_END) + int(fields[at + 15 :].split(b"\r\n", 1)[0]):
            return
        status = int(self._buffer[9:12])
        self._buffer = b""
        self._load.statuses[status] = self._load.statuses.get(status, 0) + 1
        self._load.latencies.append(time.perf_counter() - self._sent)
        if b"connection: close" in fields:
            self._over.set_result(False)
            self._transport.close()
        else:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._over.done():
            self._over.set_exception(exc or ConnectionError("the server closed the connection"))

    def _send(self) -> None:
        self._sent = time.perf_counter()
        request = next(self._requests, b"") if self._sent < self._end else b""
        if request:
            self._transport.write(request)
        else:
            self._over.set_result(True)
            self._transport.close()


def download_seconds(url: str, size: int, *, token: str = "") -> float:
    """How long it takes to read all of it, into nowhere."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=300)
    began = time.perf_counter()
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    connection.request("GET", target, headers={"Authorization": f"Bearer {token}"} if token else {})
    answer = connection.getresponse()
    buffer = bytearray(PIECE)
    got = 0
    while count := answer.readinto(buffer):
        got += count
    connection.close()
    if answer.status != 200 or got != size:
        raise SystemExit(f"{url}: {answer.status}, {got:,} bytes of {size:,}")
    return time.perf_counter() - began
