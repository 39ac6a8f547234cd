"""Processes for tests, forked from one that has imported everything already: milliseconds, not a second."""

from __future__ import annotations

import multiprocessing
import os
import select
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import msgspec

__all__ = ["Child", "Says"]

PRELOADED = [
    "raykqi.workspace",
    "raykqi.catalog.apply",
    "raykqi.catalog.lineage",
    "raykqi.catalog.snapshot",
    "raykqi.catalog.tables",
    "raykqi.maintenance.check",
    "raykqi.maintenance.collect",
    "raykqi.maintenance.snapshots",
    "raykqi.storage.filesystem_local",
    "raykqi.storage.materialise",
    "raykqi.storage.push",
]
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(PRELOADED)

PATIENCE = 60.0


class Says:
    """How a child reports: one message at a time, whole or not at all, from any thread."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def __call__(self, message: object) -> None:
        line = msgspec.json.encode(message) + b"\n"
        assert len(line) <= select.PIPE_BUF, "longer writes are not atomic"
        os.write(self._pipe.fileno(), line)


class Child:
    """Runs `work(says, *args)` in a process of its own."""

    def __init__(self, work: Callable[..., None], *args: Any) -> None:
        self._reader, writer = _CONTEXT.Pipe(duplex=False)
        self._process = _CONTEXT.Process(target=work, args=(Says(writer), *args), daemon=True)
        self._process.start()
        writer.close()
        self._rest = b""
        self.pid = self._process.pid or 0

    def messages(self, timeout: float = PATIENCE) -> Iterator[Any]:
        """What it says, until it ends or `timeout` seconds have passed."""
        deadline = time.monotonic() + timeout
        while True:
            *lines, self._rest = self._rest.split(b"\n")
            for number, line in enumerate(lines):
                self._rest = b"\n".join([*lines[number + 1 :], self._rest])
                yield msgspec.json.decode(line)
                break
            else:
                ready, _, _ = select.select([self._reader], [], [], max(0.0, deadline - time.monotonic()))
                if not ready:
                    return
                data = os.read(self._reader.fileno(), 1 << 16)
                if not data:
                    return
                self._rest += data

    def next(self, timeout: float = PATIENCE) -> Any:
        for message in self.messages(timeout):
            return message
        raise AssertionError(f"process {self.pid} said nothing in {timeout} s, or ended: {self._process.exitcode}")

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> list[Any]:
        """SIGKILL it; everything it said before that and was not read yet."""
        self._process.kill()
        self._process.join()
        return list(self.messages())

    def wait(self) -> list[Any]:
        """The rest of what it says, once it has ended well."""
        rest = list(self.messages())
        self._process.join(PATIENCE)
        assert self._process.exitcode == 0, f"process {self.pid} ended with {self._process.exitcode}"
        return rest

    def close(self) -> None:
        with suppress(ValueError):
            self._process.kill()
            self._process.join()
        self._reader.close()
