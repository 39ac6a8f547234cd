"""A front for each test, and one for those tests of a module that change nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from raykqi.opening import create_workspace, open_parts
from raykqi.settings import Settings
from raykqi.workspace import Workspace
from tests import models
from tests.integration.lab import Lab
from tests.integration.serving.fronts import Fronted, fronted


@pytest.fixture
def make_front(lab: Lab, tmp_path: Path) -> Iterator[Callable[..., Fronted]]:
    with ExitStack() as undo:

        def make(**options: Any) -> Fronted:
            opened = lab.open()
            return undo.enter_context(fronted(opened.ws, opened.parts, tmp_path, **options))

        yield make


@pytest.fixture
def front(make_front: Callable[..., Fronted]) -> Fronted:
    return make_front()


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fronted]:
    """Serves a small model as revision 3, to all tests of a module."""
    folder = tmp_path_factory.mktemp("digits")
    settings = Settings(user="tester", cache_dir=folder / "cache")
    url = str(folder / "workspace")
    create_workspace(url, settings)
    parts = open_parts(url, settings)
    with Workspace(parts, settings) as workspace, fronted(workspace, parts, folder) as made:
        model = models.mlp(folder / "mlp").parent
        models.card(model, "title: digits\nlabels: [zero, one, two]\nsample: {inputs: {x: [[1, 2, 3, 4]]}}\n")
        made.controller.show(made.revision(3, model))
        made.until_ready(3)
        yield made
