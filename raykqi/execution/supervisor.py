"""A supervisor carries out one attempt of a command plan, from its order to its stored outputs.

It never raises for anything that the command, its data or the storage do: whatever happens, `run`
answers how the attempt ended, in words that somebody can act on. The thread that calls `run` starts
the command and has to live as long as it: when that thread ends, so does the command.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from raykqi.domain.beat import Beat, Phase
from raykqi.domain.order import Completing, Ended, Order, Report, Running
from raykqi.domain.run import Exit, Usage
from raykqi.execution.beat import BeatWriter, listed, read_progress
from raykqi.execution.claim import Claim
from raykqi.execution.ending import TIMED_OUT, explain_end, explain_failure, with_problems
from raykqi.execution.folders import Folders, remove_folder
from raykqi.execution.gpu_usage import GpuMeter
from raykqi.execution.inputs import SharedTrees
from raykqi.execution.launchers.launched import Launched
from raykqi.execution.logs import LogShipper
from raykqi.execution.preparing import make_outputs, prepare
from raykqi.execution.stopping import Stopped, Stopping
from raykqi.execution.storing import Output, store_outputs
from raykqi.execution.usage import Meter
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store, open_store
from raykqi.storage.receipts import write_receipt

__all__ = ["Supervisor"]

LOOK = 0.5  # seconds between looks at what the command uses
STOPPED = Exit(143, "stopped before its command was launched")


class Supervisor:
    def __init__(
        self,
        order: Order,
        settings: Settings,
        *,
        folder: Path | str,
        report: Callable[[Report], None],
        gpus: tuple[str, ...] = (),
        node: str = "",
    ) -> None:
        """`folder` is where runs work on this node; each has a folder of its own in it."""
        self._order = order
        self._settings = settings
        base = (Path(folder) if str(folder) else settings.cache_dir / "runs").absolute()
        self._folders = Folders(base / f"{order.attempt.run}-{order.attempt.number}")
        self._report = report
        self._gpus = gpus
        self._node = node
        self._stopping = Stopping()
        self._outputs: list[Output] = []
        self._launched: Launched | None = None
        self._meter: Meter | None = None
        self._phase: Phase = "preparing"
        self._exit = STOPPED
        self._is_reachable = True
        self._log_lock = threading.Lock()
        self._store: Store | None = None
        self._claim: Claim | None = None

    def run(self) -> Ended:
        """Blocks until the attempt has ended and what it left is stored."""
        try:
            ended = self._run()
        except Exception as error:
            ended = self._ended(explain_failure(error))
        with contextlib.suppress(Exception):
            if self._store and self._is_reachable:
                write_receipt(self._store, ended)
        return ended

    def stop(self, grace: float) -> None:
        """SIGTERM for the command now, SIGKILL for all of it after `grace` seconds."""
        self._stopping.request(grace)

    def store_again(self) -> Ended:
        """Store the outputs once more: objects that they relied on are gone."""
        try:
            ended = self._complete()
        except Exception as error:
            ended = self._ended(explain_failure(error))
        with contextlib.suppress(Exception):
            if self._store and self._is_reachable:
                write_receipt(self._store, ended)
        return ended

    def clear(self) -> None:
        """Delete everything of it on this node."""
        with contextlib.suppress(Exception):
            remove_folder(self._folders.root)
        if self._claim:
            self._claim.close()
        if self._store:
            with contextlib.suppress(Exception):
                self._store.close()

    def _run(self) -> Ended:
        order = self._order
        self._store = store = open_store(order.workspace, self._settings)
        self._folders.make()
        self._claim = Claim(self._folders.root)
        self._folders.log.touch()
        self._outputs = make_outputs(order, self._folders)
        attempt = order.attempt
        log = LogShipper(store, attempt.run, attempt.number, self._folders.log, timeout=self._settings.storage_timeout)
        beat = BeatWriter(store, attempt.run, attempt.number, self._beat, self._folders.progress / "progress")
        log.start()
        beat.start()
        try:
            self._exit = self._carry_out(store)
            self._phase = "completing"
            self._report(Completing(attempt))
            ended = self._complete()
        finally:
            log.finish()
            self._phase = "ended"
            beat.finish(last=self._is_reachable)
        if log.problem:
            problem = f"its log could not be stored: {log.problem.message}"
            ended = self._ended(with_problems(ended.exit, [problem]), ended)
        return ended

    def _carry_out(self, store: Store) -> Exit:
        """Prepare, launch and wait: how the command itself ended."""
        log = os.open(self._folders.log, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        shared = SharedTrees(store, self._settings)
        try:
            self._stopping.check()
            prepared, self._outputs = prepare(
                self._order,
                self._outputs,
                folders=self._folders,
                store=store,
                shared=shared,
                settings=self._settings,
                stopping=self._stopping,
                gpus=self._gpus,
                log=log,
            )
            self._stopping.check()
            launched = prepared.launcher.launch(prepared.job)
        except Stopped:
            return STOPPED
        except Exception as error:
            exit_ = explain_failure(error)
            self._say(exit_.message)
            return exit_
        else:
            try:
                return self._attend(launched)
            finally:
                launched.close()  # kills what is left, should anything have gone wrong here
        finally:
            shared.close()
            os.close(log)

    def _attend(self, launched: Launched) -> Exit:
        self._launched = launched
        self._meter = Meter(launched.cgroup, GpuMeter(self._gpus))
        self._phase = "running"
        self._report(Running(self._order.attempt, self._node))
        definition = self._order.definition
        ends = time.monotonic() + definition.timeout if definition.timeout else None
        timed_out = False
        code = None
        with self._stopping.telling(launched.wake):
            while code is None:
                self._meter.look(launched.processes())
                if ends and time.monotonic() >= ends and not timed_out:
                    timed_out = True
                    self._stopping.request(definition.grace)
                left = self._stopping.seconds_left
                if left is not None:
                    launched.terminate() if left else launched.kill()
                waits = [LOOK, left or LOOK, max(0.0, ends - time.monotonic()) if ends and not timed_out else LOOK]
                code = launched.wait(min(waits))
        self._meter.stop()
        if timed_out:
            return Exit(TIMED_OUT, f"timed out after {definition.timeout:g} s")
        return explain_end(
            code,
            launched,
            log=self._folders.log,
            outputs=[output.folder for output in self._outputs],
            memory=self._order.resources.memory,
        )

    def _complete(self) -> Ended:
        """Store what is there; what cannot be stored turns a success into a failure that says so."""
        store = self._store or open_store(self._order.workspace, self._settings)
        outputs = list(self._outputs)
        if self._order.log:
            outputs.append(Output("(log)", self._order.log, self._folders.log, "log"))
        result = store_outputs(store, outputs, settings=self._settings, memory=self._folders.stat, say=self._say)
        self._is_reachable = not result.is_unreachable
        for problem in result.problems:
            self._say(problem)
        return Ended(
            self._order.attempt,
            with_problems(self._exit, result.problems),
            tuple(result.stored),
            self._usage(),
            self._node,
            frozenset(result.reused),
            self._order.generation,
        )

    def _ended(self, exit_: Exit, before: Ended | None = None) -> Ended:
        stored, reused = (before.stored, before.reused) if before else ((), frozenset())
        return Ended(self._order.attempt, exit_, stored, self._usage(), self._node, reused, self._order.generation)

    def _usage(self) -> Usage:
        return self._meter.usage if self._meter else Usage()

    def _say(self, text: str) -> None:
        """A line of our own in the log."""
        with self._log_lock, contextlib.suppress(OSError), open(self._folders.log, "ab") as log:
            log.write(f"[raykqi] {text}\n".encode(errors="replace"))

    def _beat(self) -> Beat:
        progress, text = read_progress(self._folders.progress / "progress")
        files, more = listed({output.name: output.folder for output in self._outputs})
        launched = self._launched
        pid = launched.root if launched and self._phase == "running" else 0
        return Beat(datetime.now(UTC), self._phase, self._usage(), progress, text, pid, self._node, files, more)
