"""A process that only runs plans ends when it cannot go on, and another may take its place at once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from raykqi.domain.order import NodeShape
from raykqi.domain.resources import Resources
from raykqi.execution.local_nodes import LocalNodes
from raykqi.opening import open_parts
from raykqi.settings import Settings
from raykqi.workspace import Workspace
from raykqi.workspace.vigil import Vigil
from tests.integration.processes import Child, Says
from tests.integration.runs.bench import Bench


class BreakingNodes(LocalNodes):
    """Answers once, and then fails as nobody expects."""

    _has_answered = False

    def shapes(self) -> Sequence[NodeShape]:
        if self._has_answered:
            raise ZeroDivisionError("nodes that were never there")
        self._has_answered = True
        return super().shapes()


def serve_with_a_vigil(says: Says, url: str, settings: Settings, folder: Path) -> None:
    workspace = Workspace(open_parts(url, settings), settings)
    server = workspace.serve(BreakingNodes(settings, folder, total=Resources(cpu=1000, memory=2**30)))

    def close() -> None:
        server.close(leave_running=True)
        says("closed")

    Vigil(lambda: server.drain(0), close, each=0.01)
    threading.Event().wait()


def test_a_process_whose_dispatcher_has_failed_ends_by_itself(plain_bench: Bench) -> None:
    bench = plain_bench
    child = Child(serve_with_a_vigil, bench.lab.url, bench.lab.settings, bench.lab.folder / "runs")

    try:
        assert child.next() == "closed"
        with pytest.raises(AssertionError, match="ended with 1"):
            child.wait()
        assert not bench.ws.is_served()
    finally:
        child.close()
