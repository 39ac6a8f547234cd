"""Processes of this machine in which functions are called, kept for the next call of the same code."""

from __future__ import annotations

import os
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

from raykqi.domain.order import Ended, Order
from raykqi.execution.cgroup import Cgroup
from raykqi.execution.claim import Claim
from raykqi.execution.folders import remove_folder
from raykqi.execution.launchers.bubblewrap import NAMESPACE, bubblewrap_works, proc_arguments
from raykqi.execution.launchers.launched import Launched
from raykqi.execution.launchers.spawning import found_program, spawn
from raykqi.execution.logs import last_line
from raykqi.execution.runtime_env import environment_programs, environment_variables
from raykqi.execution.stopping import Stopping
from raykqi.settings import Settings

__all__ = ["FunctionWorkers", "Worker", "WorkerEnded"]

MOST_IDLE = 4
SAID = "said"  # what the process itself prints, outside of any call


class WorkerEnded(Exception):
    """The process went away in the middle of a call."""


class Worker:
    """`folder` is its own, and goes with it: a call that breaks the process leaves things there."""

    def __init__(self, launched: Launched, requests: Connection, lifeline: int, folder: Path, claim: Claim) -> None:
        self._launched = launched
        self._requests = requests
        self._lifeline = lifeline
        self._folder = folder
        self._claim = claim
        self._ending = threading.Lock()
        self.is_over = False

    def call(self, order: Order, settings: Settings, gpus: tuple[str, ...], node: str) -> Ended:
        limit = order.definition.timeout
        patience = limit + order.definition.grace if limit else None
        try:
            self._requests.send(([order], settings, str(self._folder), gpus, node))
            is_answered = self._requests.poll(patience)
            (ended,) = self._requests.recv() if is_answered else (None,)
        except (EOFError, OSError) as error:
            code = self._launched.wait(None)
            said = last_line(self._folder / SAID)
            what = f"the process of the function ended with code {code}"
            raise WorkerEnded(f"{what}: {said}" if said else what) from error
        if ended is None:
            raise TimeoutError
        assert isinstance(ended, Ended)
        return ended

    def interrupt(self) -> None:
        """KeyboardInterrupt in the function."""
        self._launched.interrupt()

    def kill(self) -> None:
        self._launched.kill()

    def close(self) -> None:
        with self._ending:
            if not self.is_over:
                self.is_over = True
                self._launched.kill()
                self._launched.wait(None)
                self._launched.close()
                self._requests.close()
                os.close(self._lifeline)
                remove_folder(self._folder)
                self._claim.close()


class FunctionWorkers:
    """Processes end with the thread that started them, so one thread that stays starts them all."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._starter = ThreadPoolExecutor(1, "function workers")
        self._lock = threading.Lock()
        self._idle: list[tuple[object, Worker]] = []
        self._closed = False

    def take(self, order: Order, stopping: Stopping) -> Worker:
        key = self._key(order)
        with self._lock:
            for at, (kind, worker) in enumerate(self._idle):
                if kind == key:
                    del self._idle[at]
                    return worker
        wanted = order.definition.runtime_env
        given = dict(self._settings.node_env)
        programs = environment_programs(wanted, cache=self._settings.cache_dir, env=given, stopping=stopping)
        python = str(programs / "python") if programs else sys.executable
        storage = ("AWS_",) if order.workspace.startswith("s3:") else ()
        return self._starter.submit(self._start, python, environment_variables(wanted), storage).result()

    def give_back(self, order: Order, worker: Worker) -> None:
        with self._lock:
            keep = not self._closed
            if keep:
                self._idle.append((self._key(order), worker))
            surplus = self._idle.pop(0)[1] if len(self._idle) > MOST_IDLE else None
        if not keep:
            worker.close()
        if surplus:
            surplus.close()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for _, worker in idle:
            worker.close()
        self._starter.shutdown()

    def _key(self, order: Order) -> object:
        definition = order.definition
        return (definition.code and definition.code.tree, repr(sorted(definition.runtime_env.items())))

    def _start(self, python: str, variables: dict[str, str], storage: tuple[str, ...]) -> Worker:
        ours, theirs = socket.socketpair()
        lifeline, held = os.pipe()
        folder = self._folder / f"worker-{os.urandom(8).hex()}"
        claim = Claim(folder)
        log = os.open(folder / SAID, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        around = [found_program("bwrap"), "--dev-bind", "/", "/", *proc_arguments(), *NAMESPACE, "--"]
        assignments = [f"{name}={value}" for name, value in variables.items()]
        child = [python, "-m", "raykqi.execution.function_child", str(theirs.fileno()), str(lifeline)]
        child += [*variables, *storage]
        cgroup = Cgroup()
        reader, writer = os.pipe()
        is_nested = bubblewrap_works()
        if is_nested:
            around[1:1] = ["--json-status-fd", str(writer)]
        try:
            process = spawn(
                [*(around if is_nested else ()), "/usr/bin/env", *assignments, *child],
                log=log,
                inherit=True,
                keep=(theirs.fileno(), lifeline, writer),
                cgroup=cgroup,
            )
        finally:
            theirs.close()
            for descriptor in (lifeline, log, writer):
                os.close(descriptor)
        if not is_nested:
            os.close(reader)
        launched = Launched(process, status=reader if is_nested else -1, cgroup=cgroup)
        return Worker(launched, Connection(ours.detach()), held, folder, claim)
