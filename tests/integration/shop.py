"""A workspace with models to serve in it, and the word of a controller that brings them up. No Ray."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from raykqi.domain.data import Data
from raykqi.domain.endpoint import RevisionStatus
from raykqi.engine.endpoint_commands import MoveRevision
from raykqi.workspace import Workspace
from tests.integration.lab import Lab, Opened, check

__all__ = ["BY", "PROD", "Shop", "shop"]

PROD = ["type:model", "stage:prod"]
BY = "raykqi"


class Shop:
    """A workspace, models to serve in it, and the word of a controller that brings them up."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.opened: Opened = lab.open()
        self.ws: Workspace = self.opened.ws
        self._models = 0

    def model(self, *tags: str, ws: Workspace | None = None, of: Data | None = None) -> Data:
        self._models += 1
        source = self.lab.files(f"model-{self._models}", {"model.onnx": f"{self._models}".encode()})
        return (ws or self.ws).push(source, tags, inputs={"data": of} if of else None)

    def move(self, number: int, *ways: RevisionStatus, name: str = "digits", reason: str = "") -> None:
        for before, status in pairwise(ways):
            id_ = self.ws.endpoint(name).id
            self.ws._controller.submit(MoveRevision(BY, id_, number, before, status, reason))

    def states(self, name: str = "digits") -> list[tuple[str, RevisionStatus]]:
        """Of each revision its data and what it is."""
        return [(each.data, each.status) for each in self.ws.endpoint(name).revisions]


@pytest.fixture
def shop(lab: Lab) -> Iterator[Shop]:
    made = Shop(lab)
    yield made
    check(made.opened)
