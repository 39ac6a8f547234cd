"""Stores of both near kinds, each test with an empty one."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from raykqi.settings import Settings
from raykqi.storage.filesystem import Store, open_store


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = str(tmp_path / "workspace") if request.param == "folder" else f"memory://{uuid.uuid4().hex}"
    opened = open_store(url, Settings())
    yield opened
    opened.close()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(str(tmp_path / "workspace"), Settings())
    yield opened
    opened.close()
