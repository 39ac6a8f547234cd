"""Settings, stores and sources that live in a test's own folder."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from raykqi.settings import Settings
from raykqi.storage.filesystem import Store, open_store
from raykqi.storage.stat_cache import StatCache

__all__ = ["TrustingCache", "settings", "store", "trusting"]

TrustingCache = Callable[[Store], StatCache]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(cache_dir=tmp_path / "cache", storage_timeout=5.0)


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path, settings: Settings) -> Iterator[Store]:
    url = str(tmp_path / "store") if request.param == "local" else f"memory://{uuid.uuid4()}"
    opened = open_store(url, settings)
    yield opened
    opened.close()


@pytest.fixture
def trusting(settings: Settings) -> TrustingCache:
    """A stat cache that trusts stamps at once, as it would two seconds after the last change."""
    return lambda store: StatCache(settings.cache_dir, store.url, racy_ns=-10_000_000_000)
