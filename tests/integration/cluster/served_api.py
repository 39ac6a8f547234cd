"""`raykqi up` with its API, as a user starts it, for tests that kill parts of it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from tests.integration.cluster.raylets import tell

__all__ = ["ServedApi", "free_port", "serve_api"]

ENDING = 60.0


class ServedApi(NamedTuple):
    """`process` is `raykqi up`; below it is everything that serves."""

    url: str
    token: str
    process: psutil.Process
    home: Path


@contextmanager
def serve_api(workspace: Path, folder: Path, *options: str, replicas: int = 1) -> Iterator[ServedApi]:
    """On a port of its own and with a home of its own; killed when it does not end by itself."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {"HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "RAYKQI_USER": "lena"}
    port = free_port()
    command = [str(Path(sys.executable).with_name("raykqi")), "--workspace", str(workspace), "--json", "up"]
    command += ["--no-dashboard", "--cpus", "2", "--port", str(port), "--replicas", str(replicas), *options]
    errors = folder / "up-errors.log"
    with open(errors, "wb") as log:
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
        )
    try:
        assert process.stdout
        line = process.stdout.readline()
        assert line, f"it did not start:\n{errors.read_text()}"
        told = json.loads(line)
        yield ServedApi(f"http://127.0.0.1:{port}", told["api_token"], psutil.Process(process.pid), home)
    finally:
        children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.send_signal(signal.SIGINT)
        try:
            process.wait(ENDING)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        tell(psutil.wait_procs(children, timeout=ENDING)[1], signal.SIGKILL)
        assert process.stdout
        process.stdout.close()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
