"""Running an order in a thread, and waiting for what it does."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from raykqi.domain.order import Ended, Order
from raykqi.execution.supervisor import Supervisor
from tests.integration.execution.orders import Node

__all__ = ["Background", "alive_with", "eventually"]

LONG = 30.0


def eventually(holds: Callable[[], object], what: str = "") -> None:
    deadline = time.monotonic() + LONG
    pause = threading.Event()
    while not holds():
        assert time.monotonic() < deadline, f"never happened: {what}"
        pause.wait(0.02)


def alive_with(mark: str) -> list[int]:
    """Processes with this word among their arguments."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(OSError):
                if mark.encode() in Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0"):
                    found.append(int(entry))
    return found


class Background:
    """A supervisor at work in a thread of its own."""

    def __init__(self, node: Node, order: Order, **arguments: Any) -> None:
        self.order = order
        self.supervisor: Supervisor = node.supervisor(order, **arguments)
        self.ended: Ended | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.ended = self.supervisor.run()

    def wait(self) -> Ended:
        self._thread.join(LONG)
        assert self.ended is not None, "the supervisor has not ended"
        return self.ended
