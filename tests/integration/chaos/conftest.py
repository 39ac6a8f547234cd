"""One cluster for all tests of the room, of processes that they kill; and a workspace for each test."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.integration.chaos.served", "tests.integration.chaos.nodes")

from tests.integration.chaos.nodes import Cluster  # noqa: E402
from tests.integration.chaos.served import Served  # noqa: E402
from tests.integration.lab import Lab  # noqa: E402

__all__ = ["cluster", "ray_folder", "served"]


@pytest.fixture(scope="module")
def ray_folder() -> Iterator[Path]:
    with _short_folder() as folder:
        yield folder


@pytest.fixture(scope="package")
def _nodes() -> Iterator[Cluster]:
    with _short_folder() as folder:
        made = Cluster.begin(folder, cpus=3)
        try:
            made.look("head")
            made.join("second", cpus=3, gpus=1)
            made.look("head", "second")
            yield made
        finally:
            made.close()


@pytest.fixture
def cluster(_nodes: Cluster) -> Cluster:
    """Two nodes, `head` and `second`, the latter with a GPU that is none; whatever was killed before is there again."""
    second = _nodes.nodes["second"]
    if second.raylet is None:
        second.start()
        _nodes.look("head", "second")
    return _nodes


@contextmanager
def _short_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="rq-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def served(cluster: Cluster, lab: Lab) -> Iterator[Served]:
    made = Served(cluster, lab)
    yield made
    made.close()
