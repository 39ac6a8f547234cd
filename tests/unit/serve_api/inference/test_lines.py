"""The log of a replica comes into the store, also when that was away."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from raykqi.errors import StorageUnavailable
from raykqi.execution.log_reader import LogReader
from raykqi.settings import Settings
from raykqi.storage.filesystem import ObjectInfo, Store, open_store
from serve_api.inference.lines import KEPT, Lines


class Failing:
    """Passes on to a store, but refuses to take anything while it `fails`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.fails = False
        self.refused = asyncio.Event()

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return self._store.list(prefix)

    def put(self, key: str, data: bytes) -> None:
        if self.fails:
            self.refused.set()
            raise StorageUnavailable("the store is away")
        self._store.put(key, data)


def stored(store: Store) -> list[str]:
    text = b"".join(LogReader(store, "endpoint", "replica").more()).decode()
    return [line.partition(" ")[2] for line in text.splitlines()]


def test_lines_are_stored_in_order_and_the_rest_at_the_end(tmp_path: Path) -> None:
    store = open_store(str(tmp_path), Settings())

    async def say() -> None:
        lines = Lines(store, "endpoint", "replica")
        lines.open()
        lines.say("one\ntwo")
        while not stored(store):
            await asyncio.sleep(0.01)
        lines.say("日本")
        await lines.close()

    asyncio.run(say())
    assert stored(store) == ["one", "two", "日本"]


def test_what_a_store_refused_comes_later_and_what_was_lost_is_counted(
    tmp_path: Path,
) -> None:
    store = open_store(str(tmp_path), Settings())
    failing = Failing(store)

    async def say() -> None:
        lines = Lines(failing, "endpoint", "replica")  # type: ignore[arg-type]
        lines.open()
        failing.fails = True
        lines.say("first")
        await failing.refused.wait()
        for number in range(KEPT + 9):
            lines.say(f"line {number}")
        failing.fails = False
        await lines.close()

    asyncio.run(say())
    found = stored(store)
    assert found[0] == "lines before were lost)"
    assert found[-1] == f"line {KEPT + 8}"
    assert len(found) == KEPT + 1


def test_only_the_newest_pieces_of_a_replica_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve_api.inference.lines.MOST", 2)
    monkeypatch.setattr("serve_api.inference.lines.EACH", 0.01)
    store = open_store(str(tmp_path), Settings())

    async def say() -> None:
        lines = Lines(store, "endpoint", "replica")
        lines.open()
        for number in range(5):
            lines.say(str(number))
            while lines._unsent:
                await asyncio.sleep(0.005)
        await lines.close()

    asyncio.run(say())
    kept = [found.key for found in store.list("logs/endpoint/")]
    assert kept == ["logs/endpoint/replica/00000003.log", "logs/endpoint/replica/00000004.log"]


def test_what_is_old_goes_also_that_of_replicas_that_have_gone(tmp_path: Path) -> None:
    store = open_store(str(tmp_path), Settings())
    for key, days in (("logs/endpoint/gone/00000000.log", 31), ("logs/endpoint/gone/00000001.log", 29)):
        store.put(key, b"said\n")
        then = time.time() - days * 86_400
        os.utime(tmp_path / key, (then, then))

    async def say() -> None:
        lines = Lines(store, "endpoint", "replica")
        lines.open()
        lines.say("one")
        while not stored(store):
            await asyncio.sleep(0.01)
        await lines.close()

    asyncio.run(say())
    assert [found.key for found in store.list("logs/endpoint/gone/")] == ["logs/endpoint/gone/00000001.log"]
