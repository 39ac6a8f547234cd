"""Every kind of store, empty: a folder, this process's memory, and a bucket of either kind of server."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from raykqi.settings import Settings
from raykqi.storage.filesystem import Store, open_store
from tests.servers import S3Server


@pytest.fixture(scope="session")
def bucket_stores() -> Iterator[dict[str, Store]]:
    """Connected once, since that costs more than most tests."""
    stores: dict[str, Store] = {}
    yield stores
    for store in stores.values():
        store.close()


@pytest.fixture(params=["local", "memory", "moto", "rclone"])
def store(request: pytest.FixtureRequest, tmp_path: Path, bucket_stores: dict[str, Store]) -> Iterator[Store]:
    if request.param == "local":
        yield open_store(str(tmp_path / "store"), Settings())
    elif request.param == "memory":
        yield open_store(f"memory://{uuid.uuid4().hex}", Settings())
    else:
        server: S3Server = request.getfixturevalue(request.param)
        if request.param not in bucket_stores:
            bucket_stores[request.param] = server.store()
        store = bucket_stores[request.param]
        yield store
        store.delete([found.key for found in store.list("")])
