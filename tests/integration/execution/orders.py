"""Orders for tests: a workspace of the test's own, its data, and what an attempt in it reported."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raykqi.domain.order import Attempt, Ended, Order, OrderInput, OrderOutput, OrderTree, Report
from raykqi.domain.plan import Code, Definition
from raykqi.domain.resources import Resources
from raykqi.execution.logs import read_log
from raykqi.execution.supervisor import Supervisor
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store, open_store
from raykqi.storage.push import push_bytes, push_tree
from raykqi.storage.reading import ObjectReader
from raykqi.storage.trees import read_tree

__all__ = ["Node"]


@dataclass
class Node:
    """A node with a store. `run` carries out one order on it and answers how it ended."""

    folder: Path
    settings: Settings
    launcher: str = "process"
    reports: list[Report] = field(default_factory=list)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    @property
    def workspace(self) -> str:
        return str(self.folder / "workspace")

    @property
    def store(self) -> Store:
        return open_store(self.workspace, self.settings)

    def data(self, files: dict[str, bytes]) -> str:
        return push_bytes(self.store, files).tree.hash

    def folder_data(self, folder: Path) -> str:
        return push_tree(self.store, folder, settings=self.settings).tree.hash

    def order(
        self,
        *command: str,
        inputs: dict[str, str] | None = None,
        many: dict[str, dict[str, str]] | None = None,
        outputs: tuple[str, ...] = ("model",),
        code: dict[str, bytes] | None = None,
        resources: Resources | None = None,
        params: dict[str, Any] | None = None,
        hook_env: dict[str, str] | None = None,
        log: str = "",
        paths: dict[str, str] | None = None,
        workspace: str = "",
        **definition: Any,
    ) -> Order:
        number = next(self.numbers)
        paths = paths or {}
        if code is not None:
            definition["code"] = Code(self.data(code))
        definition.setdefault("launcher", self.launcher)
        return Order(
            attempt=Attempt(f"run-{os.getpid()}-{number}", 1),
            plan="plan-1",
            project="default",
            workspace=workspace or self.workspace,
            definition=Definition(inputs=(), command=command or None, **definition),
            resources=resources or Resources(),
            inputs=(
                *(
                    OrderInput(name, paths.get(name, f"/in/{name}"), (OrderTree(f"data-of-{name}", tree),))
                    for name, tree in (inputs or {}).items()
                ),
                *(
                    OrderInput(
                        name,
                        paths.get(name, f"/in/{name}"),
                        tuple(OrderTree(data, tree) for data, tree in trees.items()),
                        is_many=True,
                    )
                    for name, trees in (many or {}).items()
                ),
            ),
            outputs=tuple(OrderOutput(name, paths.get(name, f"/out/{name}"), f"new-{name}") for name in outputs),
            params=params or {},
            log=log,
            env=hook_env or {},
        )

    def supervisor(self, order: Order, **arguments: Any) -> Supervisor:
        folder = self.folder / "runs"
        return Supervisor(order, self.settings, folder=folder, report=self.reports.append, node="node-1", **arguments)

    def run(self, *command: str, gpus: tuple[str, ...] = (), **order: Any) -> Ended:
        return self.supervisor(self.order(*command, **order), gpus=gpus).run()

    def files(self, ended: Ended, data: str = "new-model") -> dict[str, bytes]:
        """What was stored as that data."""
        (tree,) = [stored.tree.hash for stored in ended.stored if stored.data == data]
        reader = ObjectReader(self.store, self.settings)
        listing = read_tree(self.store, tree)
        return {
            entry.path: reader.get(entry.object, entry.offset, entry.offset + entry.size) if entry.size else b""
            for entry in listing
            if entry.kind == "file"
        }

    def log(self, ended: Ended) -> bytes:
        return b"".join(read_log(self.store, ended.attempt.run, ended.attempt.number))
