"""A workspace, orders on it, and what is heard of them from a real Ray."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from raykqi.cluster.ray_nodes import RayNodes
from raykqi.domain.ids import IdMaker, SystemClock
from raykqi.domain.order import Attempt, Ended, Lost, Order, OrderOutput, Report
from raykqi.domain.plan import Code, Definition, NodeRules, PlanOutput
from raykqi.domain.resources import Resources
from raykqi.settings import Settings
from raykqi.storage.filesystem import open_store
from raykqi.storage.materialise import materialise
from raykqi.storage.push import push_bytes
from raykqi.storage.trees import read_tree

__all__ = ["ClusterLab", "alive", "still_there", "until"]

PATIENCE = 120.0
SMALL = Resources(cpu=1000, memory=0)
_ids = IdMaker(SystemClock())


def until(happened: Callable[[], Any], *, within: float = PATIENCE) -> Any:
    """Of what cannot call back: processes and Ray's accounts."""
    deadline = time.monotonic() + within
    while not (answer := happened()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return answer


def alive(marker: str) -> list[int]:
    """Processes with `marker` among their arguments."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline", "status"])
        if marker in (process.info["cmdline"] or []) and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


def still_there(pids: list[int]) -> list[int]:
    """Those that have not ended, whether or not anybody has taken notice of their end."""
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


@dataclass
class ClusterLab:
    url: str
    settings: Settings
    folder: Path
    heard: queue.Queue[Report] = field(default_factory=queue.Queue)
    opened: list[RayNodes] = field(default_factory=list)

    def nodes(self) -> RayNodes:
        nodes = RayNodes(self.settings, folder=str(self.folder / "runs"), workspace=self.url)
        nodes.open(self.heard.put, lambda: None)
        self.opened.append(nodes)
        return nodes

    def close(self) -> None:
        for nodes in self.opened:
            nodes.close(leave_running=False)

    def command(self, script: str, *, rules: NodeRules | None = None, resources: Resources = SMALL) -> Order:
        definition = Definition(
            inputs=(),
            outputs=(PlanOutput("made"),),
            command=("sh", "-c", script),
            on_node=rules or NodeRules(),
        )
        return self._order(definition, resources)

    def function(
        self,
        name: str,
        *,
        resources: Resources = SMALL,
        rules: NodeRules | None = None,
        version: int = 1,
        **params: Any,
    ) -> Order:
        """One of the functions in `user_functions.py`, which is the code of the plan."""
        module = (Path(__file__).parent / "user_functions.py").read_bytes()
        code = Code(self._pushed(module + f"VERSION = {version}\n".encode()))
        definition = Definition(
            inputs=(),
            outputs=(PlanOutput("made"),),
            function=f"user_functions:{name}",
            name=name,
            code=code,
            on_node=rules or NodeRules(),
        )
        return self._order(definition, resources, params)

    def content(self, ended: Ended) -> dict[str, str]:
        """The files of its output, read from the store."""
        target = self.folder / f"read-{ended.attempt.run}"
        store = open_store(self.url, self.settings)
        stored = next(stored for stored in ended.stored if stored.data.startswith("made-"))
        materialise(store, read_tree(store, stored.tree.hash), target, settings=self.settings)
        store.close()
        return {path.name: path.read_text(encoding="utf-8") for path in target.iterdir()}

    def end(self, attempt: Attempt, *, within: float = PATIENCE) -> Ended | Lost:
        return self.ends([attempt], within=within)[attempt]

    def ends(self, attempts: list[Attempt], *, within: float = PATIENCE) -> dict[Attempt, Ended | Lost]:
        """How they ended, each of them once."""
        ends: dict[Attempt, Ended | Lost] = {}
        deadline = time.monotonic() + within
        while set(ends) != set(attempts):
            report = self.heard.get(timeout=max(0.0, deadline - time.monotonic()))
            if isinstance(report, Ended | Lost):
                assert report.attempt not in ends, f"told twice: {report} after {ends[report.attempt]}"
                ends[report.attempt] = report
        return ends

    def hear(self, kind: type[Report], attempt: Attempt) -> Report:
        """The next report of this kind."""
        deadline = time.monotonic() + PATIENCE
        while True:
            report = self.heard.get(timeout=max(0.0, deadline - time.monotonic()))
            if report.attempt == attempt:
                assert isinstance(report, kind), str(report)
                return report

    def _order(self, definition: Definition, resources: Resources, params: dict[str, Any] | None = None) -> Order:
        run = _ids.new()
        return Order(
            attempt=Attempt(run, 1),
            plan=definition.digest,
            project="default",
            workspace=self.url,
            definition=definition,
            resources=resources,
            inputs=(),
            outputs=(OrderOutput("made", "", f"made-{run}"),),
            params=params or {},
        )

    def _pushed(self, module: bytes) -> str:
        store = open_store(self.url, self.settings)
        try:
            return push_bytes(store, {"user_functions.py": module}).tree.hash
        finally:
            store.close()
