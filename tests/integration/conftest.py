"""A lab for each test: a workspace on this machine that it may open, close, break and open again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from raykqi.opening import create_workspace
from raykqi.settings import Settings

pytest.register_assert_rewrite("tests.integration.lab", "tests.comparison")

from tests.integration.lab import Lab  # noqa: E402

__all__ = ["lab", "make_lab"]


@pytest.fixture
def make_lab(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    labs: list[Lab] = []

    def make(name: str = "lab", *, url: str = "", **changes: Any) -> Lab:
        folder = tmp_path / name
        settings = Settings(user="tester", cache_dir=folder / "cache", lock_timeout=20.0, storage_timeout=5.0)
        settings = replace(settings, **changes)
        lab = Lab(url or str(folder / "workspace"), settings, folder)
        create_workspace(lab.url, settings)
        labs.append(lab)
        return lab

    yield make
    for lab in labs:
        lab.close()


@pytest.fixture
def lab(make_lab: Callable[..., Lab]) -> Lab:
    return make_lab()
