"""How soon a line that is written reaches who follows, and what a busy log costs in the store."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from raykqi.execution.log_reader import LogReader
from raykqi.execution.logs import LogShipper, follow_log, log_folder, read_log
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store, open_store

MOST = 0.25  # seconds, of which half of all lines take less


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(str(tmp_path / "store"), Settings())
    yield opened
    opened.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "log"
    file.touch()
    return file


def add(log: Path, text: str) -> None:
    with open(log, "a", encoding="utf-8") as opened:
        opened.write(text)


@pytest.fixture
def ship(store: Store, log: Path) -> Iterator[Callable[[], LogShipper]]:
    shipper = LogShipper(store, "run-1", 1, log, timeout=5.0)
    shipper.start()
    yield lambda: shipper
    shipper.finish()


def test_a_line_reaches_its_followers_within_a_quarter_of_a_second(
    store: Store, log: Path, ship: Callable[[], LogShipper]
) -> None:
    heard: queue.SimpleQueue[str] = queue.SimpleQueue()
    is_over = threading.Event()

    def follow() -> None:
        text = b""
        for piece in follow_log(store, "run-1", 1, is_over.is_set):
            *lines, text = (text + piece).split(b"\n")
            for line in lines:
                heard.put(line.decode())

    follower = threading.Thread(target=follow)
    follower.start()
    took = []
    for number in range(15):
        began = time.monotonic()
        add(log, f"line {number}\n")
        assert heard.get(timeout=20) == f"line {number}"
        took.append(time.monotonic() - began)
    is_over.set()
    follower.join(20)

    assert sorted(took)[len(took) // 2] < MOST


def test_a_busy_log_makes_no_more_chunks_than_seconds(store: Store, log: Path, ship: Callable[[], LogShipper]) -> None:
    reader = LogReader(store, "run-1", 1)
    began, expected, read = time.monotonic(), "", b""
    for number in range(12):
        add(log, f"line {number}\n")
        expected += f"line {number}\n"
        while read.decode() != expected:
            read += b"".join(reader.more())
            assert time.monotonic() - began < 60

    ship().finish()

    chunks = list(store.list(f"{log_folder('run-1', 1)}/"))
    assert len(chunks) <= time.monotonic() - began + 1
    assert b"".join(read_log(store, "run-1", 1)).decode() == expected


def test_reading_goes_on_from_any_byte_of_a_chunk_that_grows(
    store: Store, log: Path, ship: Callable[[], LogShipper]
) -> None:
    add(log, "0123456789")
    first, late = LogReader(store, "run-1", 1), LogReader(store, "run-1", 1)
    read = b""
    while len(read) < 10:
        read += b"".join(first.more())
    late.seek(4)
    add(log, "abc" * 400_000)
    ship().finish()

    assert b"".join(late.more()) == b"456789" + b"abc" * 400_000
    assert b"".join(first.more()) == b"abc" * 400_000
    end = LogReader(store, "run-1", 1)
    end.seek(1 << 62)
    assert (end.at, b"".join(end.more())) == (1_200_010, b"")
