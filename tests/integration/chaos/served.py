"""A workspace that is served on a cluster by a process which may be killed and started again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from raykqi.domain.events import RunEnded
from raykqi.domain.run import Run
from raykqi.journal.log import Journal
from raykqi.workspace import Workspace
from tests.integration.chaos.nodes import PATIENCE, Cluster, until
from tests.integration.lab import Lab
from tests.integration.runs.bench import Bench
from tests.integration.runs.leftovers import processes_of_runs

__all__ = ["Served"]


class Served:
    """`bench` describes the plans and looks at the workspace from outside."""

    def __init__(self, cluster: Cluster, lab: Lab) -> None:
        self.cluster = cluster
        self.bench = Bench(lab)
        self.folder = lab.folder / "runs"
        self._lab = lab
        self._process: subprocess.Popen[str] | None = None

    @property
    def ws(self) -> Workspace:
        return self.bench.ws

    def serve(self) -> None:
        """Comes back when it serves."""
        arguments = [self._lab.url, self.cluster.address, str(self._lab.settings.cache_dir), str(self.folder)]
        with open(self.log, "ab") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.chaos.serving", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                env=self.cluster.environment,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self.log.read_text(encoding="utf-8")[-4000:]
        assert json.loads(line) == "serving"

    @property
    def log(self) -> Path:
        return self._lab.folder / "serving.log"

    @property
    def is_serving(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL for the process that serves; runs go on."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def close(self) -> None:
        self.kill()
        self.bench.close()

    def wait(self, runs: Iterable[Run] | None = None, *, within: float = PATIENCE) -> list[Run]:
        """All runs, when they have ended."""
        wanted = None if runs is None else list(runs)
        self.ws.wait(wanted, timeout=within)
        return self.ws.runs(oldest_first=True) if wanted is None else [self.ws.run(run) for run in wanted]

    def ends(self) -> list[RunEnded]:
        """As the journal has them."""
        entries = Journal(self.bench.opened.parts.store).read()
        return [event for entry in entries for event in entry.events if isinstance(event, RunEnded)]

    def assert_nothing_is_left(self) -> None:
        """No process of a run, no slot, no actor, no receipt, and no folder that the next run has not removed.

        And the journal says what the index says.
        """
        self.bench.plan(inputs={"/in": ["to:last"]}, more="resources: {cpu: 0.5, memory: 0}")
        self.bench.push("to:last")
        runs = {run.id for run in self.wait()}
        seen = self.cluster.look("idle")
        assert seen["actors"] == []
        assert seen["free"] == seen["total"]
        assert processes_of_runs(runs) == {}
        assert [path.name for path in self.folder.glob("*") if not path.name.startswith("task-")] == []
        store = self.bench.opened.parts.store
        until(lambda: not [*store.list("receipts/")])  # they are cleared after the end of the run was told
        self.bench.check()
