"""A program that goes on while a test talks with it: `raykqi up`, and whatever else does not end by itself."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
import pytest

from tests.e2e.cli.conftest import command, environment

__all__ = ["PATIENCE", "Program", "still_there"]

PATIENCE = 90.0


class Program:
    """Its stdout line by line, as they come; killed at the end of the `with` block if it still runs."""

    def __init__(self, folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        without_ray = {name: value for name, value in environment(env).items() if not name.startswith("RAY_")}
        own = {name: value for name, value in (env or {}).items() if name.startswith("RAY_")}
        self.lines: list[str] = []
        self._heard = threading.Condition()
        self._over = False
        self.errors = folder / f"stderr-{time.monotonic_ns()}"
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                command(*arguments),
                cwd=folder,
                env=without_ray | own,
                stdout=subprocess.PIPE,
                stderr=errors,
                stdin=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
            )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def __enter__(self) -> Program:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._listener.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def until(self, happened: Callable[[str], bool], within: float = PATIENCE) -> str:
        """The first line, past or to come, of which that is true."""
        deadline = time.monotonic() + within
        with self._heard:
            at = 0
            while True:
                while at < len(self.lines):
                    if happened(self.lines[at]):
                        return self.lines[at]
                    at += 1
                left = deadline - time.monotonic()
                if left <= 0 or self._over:
                    pytest.fail(f"never heard: {self.lines} {self.errors.read_text()}")
                self._heard.wait(left)

    def said(self) -> list[Any]:
        """The lines of a program that speaks JSON."""
        with self._heard:
            return [json.loads(line) for line in self.lines]

    def end(self, signal: int, within: float = PATIENCE) -> int:
        self.process.send_signal(signal)
        return self.process.wait(within)

    def pids(self) -> list[int]:
        """Of itself and all that came of it."""
        own = psutil.Process(self.process.pid)
        return [own.pid, *(child.pid for child in own.children(recursive=True))]

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._heard:
                self.lines.append(line.rstrip("\n"))
                self._heard.notify_all()
        with self._heard:
            self._over = True
            self._heard.notify_all()


def still_there(pids: list[int], within: float) -> list[int]:
    """Those that have not ended after so many seconds."""
    processes = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    _, alive = psutil.wait_procs(processes, timeout=within)
    return [process.pid for process in alive if process.status() != psutil.STATUS_ZOMBIE]
