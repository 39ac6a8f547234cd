"""What `api` measures: `raykqi up` as users start it, beside it a bare route on the same Serve, and nginx."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

__all__ = ["Served", "bare_route", "nginx", "serve", "server_memory"]

LONGEST = 120.0  # seconds for anything to start
_BARE = """
import sys
import ray
from fastapi import FastAPI, Response
from ray import serve
from ray.serve.config import ProxyLocation

address, body, replicas = sys.argv[1], sys.argv[2].encode(), int(sys.argv[3])
app = FastAPI()


@app.get("/data/{id}")
async def show(id: str) -> Response:
    return Response(body, media_type="application/json")


@serve.deployment(num_replicas=replicas, max_ongoing_requests=1000, ray_actor_options={"num_cpus": 0})
@serve.ingress(app)
class Bare:
    pass


ray.init(address=address, log_to_driver=False, logging_level="ERROR", configure_logging=False)
serve.run(Bare.bind(), name="bare", route_prefix="/bare")
print("ready", flush=True)
"""


class Served(NamedTuple):
    """`process` is `raykqi up`; below it is everything that serves."""

    url: str
    token: str
    ray: str
    ray_token: str
    process: psutil.Process
    environment: dict[str, str]


@contextmanager
def serve(workspace: Path, folder: Path, *, replicas: int = 1) -> Iterator[Served]:
    environment = os.environ | {"HOME": str(folder), "XDG_STATE_HOME": str(folder / "state")}
    port = _free_port()
    command = [
        str(Path(sys.executable).with_name("raykqi")),
        "--workspace",
        str(workspace),
        "--json",
        "up",
        "--no-dashboard",
    ]
    command += ["--port", str(port), "--replicas", str(replicas)]
    with open(folder / "up.log", "wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"`raykqi up` did not start:\n{(folder / 'up.log').read_text()}")
        told = json.loads(line)
        yield Served(
            told["api"],
            told["api_token"],
            told["ray"],
            told["token"],
            psutil.Process(process.pid),
            environment,
        )
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(LONGEST)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def bare_route(served: Served, body: bytes, *, replicas: int = 1) -> str:
    """A FastAPI route on the same Serve and ingress that answers with the same bytes; its URL."""
    environment = served.environment | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": served.ray_token}
    environment |= {"RAY_SERVE_ENABLE_HA_PROXY": "1", "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _BARE, served.ray, body.decode(), str(replicas)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    if "ready" not in done.stdout:
        raise SystemExit(f"the bare route did not start:\n{done.stdout}{done.stderr}")
    return f"{served.url}/bare/data"


def server_memory(served: Served) -> int:
    """Bytes that all processes of the server hold for themselves: what they share is counted for none."""
    total = 0
    for process in [served.process, *served.process.children(recursive=True)]:
        try:
            memory = process.memory_full_info()
        except psutil.Error:
            continue
        total += memory.uss
    return total


@contextmanager
def nginx(folder: Path) -> Iterator[str | None]:
    """Serves the folder on loopback; None where nginx is not installed."""
    program = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if program is None:
        yield None
        return
    port = _free_port()
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log; user {os.environ.get('USER', 'root')};\n"
        f"events {{}}\nhttp {{ access_log off; sendfile on; server {{ listen 127.0.0.1:{port}; root {folder}; }} }}\n"
    )
    process = subprocess.Popen([program, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_for(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            psutil.Process().cpu_percent(0.02)
        else:
            return
    raise SystemExit(f"nothing listens on port {port}")
