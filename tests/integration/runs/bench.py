"""A workspace whose plans are run by processes of this machine, and short ways to describe plans."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from functools import cached_property
from typing import cast

from raykqi.domain.data import Data
from raykqi.domain.hooks import Hooks
from raykqi.domain.plan import Plan
from raykqi.domain.resources import Resources
from raykqi.domain.run import Run, RunStatus
from raykqi.execution.local_nodes import LocalNodes
from raykqi.server import Server
from raykqi.workspace import Workspace
from tests.integration.lab import Lab, Opened, check

__all__ = ["SOON", "Bench"]

SOON = 30.0  # seconds within which everything here has to happen
GIB = 1024**3


class Bench:
    """With `is_remote`, tests do everything over HTTP but to run what waits."""

    def __init__(self, lab: Lab, launcher: str = "process", *, is_remote: bool = False) -> None:
        self.lab = lab
        self.launcher = launcher
        self.opened: Opened = lab.open()
        self.server: Server | None = None
        self._is_remote = is_remote
        self._visit = ExitStack()
        self._sources = 0

    @cached_property
    def ws(self) -> Workspace:
        if not self._is_remote:
            return self.opened.ws
        from tests.integration.over_http import over_http

        return cast("Workspace", self._visit.enter_context(over_http(self.opened.ws, "tester", self.lab.folder)))

    def serve(self, *, cpus: int = 4, gpus: int = 0, hooks: Hooks | None = None) -> Server:
        total = Resources(cpu=cpus * 1000, memory=8 * GIB, gpu=gpus * 1000)
        nodes = LocalNodes(self.lab.settings, self.lab.folder / "runs", total=total)
        self.server = self.opened.ws.serve(nodes, hooks=hooks)
        return self.server

    def stop_serving(self) -> None:
        if self.server:
            self.server.close()
            self.server = None

    def restart(self) -> None:
        """Everything that one process holds, closed and opened anew; the server is not begun again."""
        self.stop_serving()
        self._leave()
        self.opened = self.lab.reopen()

    def close(self) -> None:
        self.stop_serving()
        self._leave()
        self.lab.close()

    def _leave(self) -> None:
        self._visit.close()
        self.__dict__.pop("ws", None)

    def push(self, *tags: str, content: Mapping[str, bytes] | None = None) -> Data:
        self._sources += 1
        folder = self.lab.files(f"source-{self._sources}", content or {"file": f"{self._sources}".encode()})
        return self.ws.push(folder, tags)

    def plan(
        self,
        command: str = "true",
        *,
        inputs: Mapping[str, Iterable[str]] | None = None,
        outputs: Mapping[str, Iterable[str]] | None = None,
        log: Iterable[str] | None = None,
        more: str = "",
    ) -> Plan:
        """`inputs` and `outputs` map paths to tags; `more` is YAML for the end of the file."""
        return self.ws.apply(self.text(command, inputs=inputs, outputs=outputs, log=log, more=more))

    def text(
        self,
        command: str = "true",
        *,
        inputs: Mapping[str, Iterable[str]] | None = None,
        outputs: Mapping[str, Iterable[str]] | None = None,
        log: Iterable[str] | None = None,
        more: str = "",
    ) -> str:
        lines = [f"launcher: {self.launcher}", "command:", "  - /bin/sh", "  - -c", "  - |"]
        lines += [f"    {line}" for line in command.splitlines()]
        lines += ["inputs:", *_mounts({"/in/data": ["a:1"]} if inputs is None else inputs)]
        if outputs:
            lines += ["outputs:", *_mounts(outputs)]
        if log is not None:
            lines += [f"log: {{tags: [{', '.join(map(repr, log))}]}}"]
        if "resources" not in more:
            lines += ["resources: {cpu: 0.5, memory: 64Mi}"]
        return "\n".join([*lines, more]) + "\n"

    def drain(self) -> None:
        """Until nothing runs and nothing can start."""
        assert self.server
        assert self.server.drain(SOON), [run.reason or run.status for run in self.ws.runs()]

    def until(self, run: Run, *statuses: RunStatus) -> Run:
        (reached,) = self.ws.wait(run, until=statuses, timeout=SOON)
        return reached

    def only_run(self) -> Run:
        (run,) = self.ws.runs()
        return run

    def output(self, run: Run, name: str) -> Data:
        return self.ws.show(next(output.data for output in run.outputs if output.name == name))

    def check(self) -> None:
        check(self.opened)


def _mounts(mounts: Mapping[str, Iterable[str]]) -> list[str]:
    return [f"  - {{path: {path}, tags: [{', '.join(map(repr, tags))}]}}" for path, tags in mounts.items()]


MakeBench = Callable[..., Bench]
