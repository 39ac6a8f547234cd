"""Further nodes on this machine, as processes that a test may kill, stop and continue."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

__all__ = ["processes_of", "second_node", "tell"]


@contextmanager
def second_node(
    address: str, folder: Path, *, name: str, cpus: int, labels: Mapping[str, str]
) -> Iterator[psutil.Process]:
    """A raylet that has joined the cluster at `address`; all its processes are gone afterwards."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", f"--address={address}", "--block"]
    command += [f"--num-cpus={cpus}", f"--node-name={name}", f"--temp-dir={folder}", "--disable-usage-stats"]
    command += ["--labels=" + ",".join(f"{key}={value}" for key, value in labels.items())]
    log = folder / f"{name}.log"
    with open(log, "wb") as said:
        starter = subprocess.Popen(command, stdout=said, stderr=said, env=dict(os.environ), start_new_session=True)
    try:
        yield psutil.Process(starter.pid)
    finally:
        if psutil.pid_exists(starter.pid):
            tell(processes_of(psutil.Process(starter.pid)), signal.SIGKILL)
        starter.wait(10)


def tell(processes: Sequence[psutil.Process], number: int) -> None:
    """A signal, for those that are still there."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def processes_of(node: psutil.Process) -> list[psutil.Process]:
    """The whole of it: its starter, the raylet, the agents and the workers with what they run."""
    return [node, *node.children(recursive=True)]
