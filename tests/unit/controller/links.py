"""A way to a controller of this process that can be slow, break, and lose what was answered."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

from raykqi.controller.receiving import Receiver
from raykqi.errors import ServerUnavailable

__all__ = ["Link"]


class Link:
    def __init__(self, receiver: Receiver | None) -> None:
        self.receiver = receiver  # None: nobody is there
        self.calls = 0
        self.lost_answers = 0  # so many more are carried out, and then nobody hears of it
        self.open = threading.Event()
        self.open.set()
        self._pool = ThreadPoolExecutor(8)

    def send(self, commands: bytes) -> Future[bytes]:
        return self._pool.submit(self._send, commands)

    def ask(self, method: str, *positional: object) -> bytes:
        raise ServerUnavailable("nobody is asked here")

    def close(self) -> None:
        self.open.set()
        self._pool.shutdown()

    def _send(self, commands: bytes) -> bytes:
        self.calls += 1
        self.open.wait(30)
        receiver = self.receiver
        if receiver is None:
            raise ServerUnavailable("nobody is there")
        answers = receiver.commit(commands)
        if self.lost_answers:
            self.lost_answers -= 1
            raise ServerUnavailable("it died")
        return answers
