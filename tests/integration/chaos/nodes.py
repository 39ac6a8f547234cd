"""A cluster of processes on this machine, each node of which may be killed, cut off and started again.

Ray is in none of the processes that test: what is known of the cluster is asked by `looking.py`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

__all__ = ["PATIENCE", "SECRET", "Cluster", "Node", "free_port", "until"]

PATIENCE = 120.0
SECRET = "only-for-ray"
# A node that does not answer is taken for dead sooner than Ray would by itself.
SOON = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 3000,
    "health_check_failure_threshold": 4,
}


def until(happened: Callable[[], Any], *, within: float = PATIENCE) -> Any:
    """Of what cannot call back: processes, and what others commit."""
    deadline = time.monotonic() + within
    while not (answer := happened()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return answer


@dataclass
class Node:
    """All processes of a node are in the session of the one that started it, but for commands of runs."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    within: tuple[str, ...] = ()
    starter: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Anew, if it was started before."""
        self.kill()
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
        with open(self.log, "ab") as said:
            self.starter = subprocess.Popen(
                [*self.within, *command, f"--node-name={self.name}", *self.arguments],
                stdout=said,
                stderr=said,
                env=dict(self.environment),
                start_new_session=True,
            )

    @property
    def processes(self) -> list[psutil.Process]:
        """The whole of it, with what runs have started there."""
        if self.starter is None:
            return []
        own = []
        for process in psutil.process_iter():
            try:
                if os.getsid(process.pid) == self.starter.pid and process.status() != psutil.STATUS_ZOMBIE:
                    own.append(process)
            except (ProcessLookupError, psutil.NoSuchProcess):
                continue
        found = {process.pid: process for process in own}
        for process in own:
            try:
                found |= {child.pid: child for child in process.children(recursive=True)}
            except psutil.NoSuchProcess:
                continue
        return list(found.values())

    def titled(self, *beginnings: str) -> list[psutil.Process]:
        """Those of its processes that Ray calls so."""
        found = []
        for process in self.processes:
            try:
                title = " ".join(process.cmdline())
            except psutil.NoSuchProcess:
                continue
            if title.startswith(beginnings):
                found.append(process)
        return found

    @property
    def raylet(self) -> psutil.Process | None:
        for process in self.processes:
            try:
                if process.name() == "raylet":
                    return process
            except psutil.NoSuchProcess:
                continue
        return None

    def signal(self, number: int) -> list[psutil.Process]:
        """To all of it at once, as far as that is possible; a stopped process starts no others meanwhile."""
        told = []
        for process in self.processes:
            try:
                process.send_signal(number)
                told.append(process)
            except psutil.NoSuchProcess:
                continue
        return told

    def kill(self) -> None:
        while self.signal(signal.SIGKILL):
            continue
        if self.starter is not None:
            self.starter.wait(10)
            self.starter = None


@dataclass
class Cluster:
    """`folder` is short: Ray puts sockets below it."""

    folder: Path
    environment: dict[str, str]
    port: int
    nodes: dict[str, Node] = field(default_factory=dict)

    @classmethod
    def begin(cls, folder: Path, *, cpus: int, within: tuple[str, ...] = (), **environment: str) -> Cluster:
        """`within` is a command that the head is started by."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
        given = {
            "HOME": str(folder / "home"),
            "RAY_AUTH_MODE": "disabled",
            "RAY_AUTH_TOKEN": SECRET,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_worker_niceness": "0",
            "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
        }
        cluster = cls(folder, {**kept, **given, **environment}, free_port())
        (folder / "home").mkdir()
        options = ["--head", f"--port={cluster.port}", f"--temp-dir={folder}", "--include-dashboard=false"]
        options += [f"--ray-client-server-port={free_port()}", f"--dashboard-port={free_port()}"]
        options += [f"--num-cpus={cpus}", "--num-gpus=0", f"--system-config={json.dumps(SOON)}"]
        cluster._add("head", options, within)
        return cluster

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def head(self) -> Node:
        return self.nodes["head"]

    def join(self, name: str, *, cpus: int, gpus: int = 0) -> Node:
        options = [f"--address={self.address}", f"--num-cpus={cpus}", f"--num-gpus={gpus}", f"--labels=side={name}"]
        return self._add(name, options)

    def _add(self, name: str, options: list[str], within: tuple[str, ...] = ()) -> Node:
        log = self.folder / f"{name}.log"
        node = self.nodes[name] = Node(name, tuple(options), self.environment, log, within)
        node.start()
        return node

    def look(self, *wanted: str, within: float = PATIENCE) -> dict[str, Any]:
        """The cluster when it is as wanted (see `looking.py`), or when the time is over."""
        arguments = [self.address, str(within), *wanted]
        done = subprocess.run(
            [sys.executable, "-m", "tests.integration.chaos.looking", *arguments],
            capture_output=True,
            text=True,
            env=self.environment,
            timeout=within + 60,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer

    def close(self) -> None:
        for node in reversed(self.nodes.values()):
            node.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
