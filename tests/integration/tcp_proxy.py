"""A TCP proxy on loopback that breaks connections when a test says so, after so many bytes of either direction.

with TcpProxy(url) as proxy:
    proxy.break_after(up=1_000_000)
    connect(proxy.url)
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from types import TracebackType
from urllib.parse import urlsplit

__all__ = ["TcpProxy"]

CHUNK = 65_536


class TcpProxy:
    """`carried` are the bytes that came through, from clients (`up`) and to them (`down`)."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self._server = str(place.hostname), int(place.port or 80)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.carried = {"up": 0, "down": 0}
        self.broken = 0
        self.connections = 0
        self._left: dict[str, int | None] = {"up": None, "down": None}
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._is_over = False

    def __enter__(self) -> TcpProxy:
        self._start(self._accept)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._is_over = True
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.break_all()
        for thread in self._threads:
            thread.join(10)

    def break_after(self, *, up: int | None = None, down: int | None = None) -> None:
        """Once: the connection that carries this many more bytes is reset."""
        with self._lock:
            self._left = {"up": up, "down": down}

    def break_all(self) -> None:
        """Every connection there is now."""
        with self._lock:
            for each in self._open:
                _reset(each)
            self._open.clear()

    def _start(self, act: object, *arguments: object) -> None:
        thread = threading.Thread(target=act, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._is_over:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._server, timeout=10)
            except OSError:
                _reset(client)
                continue
            server.settimeout(None)
            self.connections += 1
            with self._lock:
                self._open |= {client, server}
            self._start(self._carry, client, server, "up")
            self._start(self._carry, server, client, "down")

    def _carry(self, source: socket.socket, target: socket.socket, way: str) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                if self._breaks(way, len(data)):
                    break
                target.sendall(data)
            else:
                target.shutdown(socket.SHUT_WR)
                return
        for each in (source, target):
            _reset(each)

    def _breaks(self, way: str, size: int) -> bool:
        with self._lock:
            self.carried[way] += size
            left = self._left[way]
            if left is None:
                return False
            if left - size > 0:
                self._left[way] = left - size
                return False
            self._left = {"up": None, "down": None}
            self.broken += 1
            return True


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
