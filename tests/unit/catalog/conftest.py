"""An index in memory for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from raykqi.catalog.index import Index


@pytest.fixture
def index() -> Iterator[Index]:
    made = Index(None, "test")
    yield made
    made.close()
