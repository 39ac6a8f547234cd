"""A controller over a store in memory for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from raykqi.catalog.index import Index
from raykqi.controller.controller import Controller
from raykqi.controller.index_keeper import IndexKeeper
from raykqi.domain.ids import Clock, SystemClock
from raykqi.journal.log import Journal
from raykqi.journal.owning import open_ownership
from tests.unit.controller.stores import FailingStore


@pytest.fixture
def store(request: pytest.FixtureRequest) -> FailingStore:
    return FailingStore(request.node.name)


@pytest.fixture
def open_controller(store: FailingStore) -> Iterator[Callable[..., Controller]]:
    opened: list[Controller] = []

    def make(clock: Clock | None = None) -> Controller:
        ownership = open_ownership(store, user="tester")
        journal = Journal(store, guard=ownership.check)
        keeper = IndexKeeper(store, journal, Index(None, "test"))
        controller = Controller(
            keeper=keeper,
            journal=journal,
            ownership=ownership,
            clock=clock or SystemClock(),
            lock_timeout=20.0,
            freshness=0.0,
        )
        opened.append(controller)
        return controller

    yield make
    store.failure, store.is_away = None, False
    for controller in opened:
        controller.close()
        controller.keeper.index.close()


@pytest.fixture
def controller(open_controller: Callable[..., Controller]) -> Controller:
    return open_controller()
