"""A node for each test, and one for each launcher."""

from __future__ import annotations

from pathlib import Path

import pytest

from raykqi.settings import Settings
from tests.integration.execution.orders import Node

__all__ = ["each_node", "node", "sandbox"]


def make_node(folder: Path, launcher: str) -> Node:
    settings = Settings(user="tester", cache_dir=folder / "cache", storage_timeout=3.0)
    return Node(folder, settings, launcher)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return make_node(tmp_path, "process")


@pytest.fixture(params=["process", "sandbox"])
def each_node(tmp_path: Path, request: pytest.FixtureRequest) -> Node:
    """A node that launches by each of the launchers in turn."""
    return make_node(tmp_path, request.param)


@pytest.fixture
def sandbox(tmp_path: Path) -> Node:
    return make_node(tmp_path, "sandbox")
