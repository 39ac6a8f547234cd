"""MLflow's scoring server on an ONNX model, as its users start it."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

__all__ = ["mlflow_server"]

LONGEST = 120.0
_LOG = """
import sys
import mlflow.onnx, onnx
mlflow.onnx.save_model(onnx.load(sys.argv[1]), sys.argv[2])
"""


@contextmanager
def mlflow_server(program: str, model: Path, folder: Path) -> Iterator[str]:
    """Its URL; "" where MLflow is not installed. `program` is `mlflow`, beside which its Python lies."""
    if not program:
        yield ""
        return
    saved = folder / "mlflow-model"
    python = Path(program).with_name("python")
    environment = os.environ | {"HOME": str(folder), "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment["PATH"] = f"{Path(program).parent}{os.pathsep}{environment['PATH']}"
    subprocess.run([python, "-c", _LOG, model, saved], env=environment, check=True, capture_output=True, cwd=folder)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [program, "models", "serve", "-m", str(saved), "-p", str(port), "--env-manager", "local"]
    with open(folder / "mlflow.log", "wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder, start_new_session=True)
    try:
        _wait_for(f"http://127.0.0.1:{port}/ping", process, folder / "mlflow.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 15)
        process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    import time

    until = time.monotonic() + LONGEST
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise SystemExit(f"MLflow's server did not start:\n{log.read_text()[-2000:]}")
