"""A process that serves a workspace until it is killed."""

from __future__ import annotations

from pathlib import Path

from raykqi.domain.hooks import Hooks
from raykqi.domain.resources import Resources
from raykqi.execution.local_nodes import LocalNodes
from raykqi.opening import open_parts
from raykqi.settings import Settings
from raykqi.workspace import Workspace
from tests.integration.processes import Says

__all__ = ["serve_until_killed"]


def serve_until_killed(says: Says, url: str, settings: Settings, folder: Path, hooks: Hooks | None = None) -> None:
    workspace = Workspace(open_parts(url, settings), settings)
    nodes = LocalNodes(settings, folder, total=Resources(cpu=4000, memory=8 * 1024**3))
    server = workspace.serve(nodes, hooks=hooks)
    says("serving")
    while True:
        server.drain(60.0)
