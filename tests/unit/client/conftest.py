"""A server whose answers the tests write, and a connection to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from raykqi.client.target import Target
from raykqi.client.transport import Transport
from tests.unit.client.scripted import Scripted, scripted


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


@pytest.fixture
def transport(server: Scripted) -> Iterator[Transport]:
    made = Transport(Target(server.url, "rkq_1_secret"), timeout=5.0, version="0.1.0")
    yield made
    made.close()
