"""Logs: seen while a command runs, kept whole whatever they hold, and never in the way of the command."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from raykqi.domain.run import Exit
from raykqi.errors import StorageUnavailable
from raykqi.execution.beat import read_beat
from raykqi.execution.logs import LogShipper, follow_log, read_log
from raykqi.storage.filesystem_memory import MemoryStore
from tests.integration.execution.orders import Node
from tests.integration.execution.watching import Background, eventually

LINE = b"0123456789abcdef" * 4 + b"\n"


def test_lines_are_seen_while_the_command_runs(each_node: Node, tmp_path: Path) -> None:
    order = each_node.order("sh", "-c", "echo first; sleep 0.3; echo second; sleep 300")
    run = Background(each_node, order)
    pieces: Iterator[bytes] = follow_log(each_node.store, order.attempt.run, 1, lambda: run.ended is not None)

    said = b""
    for piece in pieces:
        said += piece
        if said == b"first\nsecond\n":
            break
    assert run.ended is None
    run.supervisor.stop(0.0)
    run.wait()

    assert list(pieces) == []


def test_the_first_line_is_there_at_once(node: Node) -> None:
    order = node.order("sh", "-c", "echo $(date +%s.%N); sleep 300")
    run = Background(node, order)
    first = next(iter(follow_log(node.store, order.attempt.run, 1, lambda: run.ended is not None, pause=0.01)))
    seen = time.time()
    run.supervisor.stop(0.0)
    run.wait()

    assert seen - float(first) < 0.5


def test_binary_output_is_kept_byte_by_byte(each_node: Node) -> None:
    every = bytes(range(256))

    ended = each_node.run("cat", "{inputs.x}/a", inputs={"x": each_node.data({"a": every * 300})}, log="new-log")

    assert each_node.log(ended) == every * 300
    assert each_node.files(ended, "new-log") == {"log": every * 300}


def flood(node: Node, size: int) -> None:
    before = _memory()
    supervisor = node.supervisor(node.order("sh", "-c", f"yes $(printf %063d 7) | head -c {size}"))
    ended = supervisor.run()

    sizes = [len(piece) for piece in read_log(node.store, ended.attempt.run, 1)]
    supervisor.clear()
    assert ended.exit == Exit(0)
    assert sum(sizes) == size
    assert max(sizes) <= 8 << 20
    assert _memory() - before < 128 << 20


def test_a_flood_neither_stalls_nor_fills_memory(node: Node) -> None:
    flood(node, 100_000_000)


@pytest.mark.soak
def test_a_gigabyte_neither_stalls_nor_fills_memory(node: Node) -> None:
    flood(node, 1_000_000_000)


class FailingStore(MemoryStore):
    """Refuses every write until it is healed."""

    def __init__(self) -> None:
        super().__init__("memory://failing")
        self.is_healed = threading.Event()
        self.refused = threading.Event()

    def put(self, key: str, data: bytes) -> None:
        if not self.is_healed.is_set():
            self.refused.set()
            raise StorageUnavailable("the store does not answer")
        super().put(key, data)


def test_a_log_waits_on_disk_while_the_store_does_not_answer(tmp_path: Path) -> None:
    store, log = FailingStore(), tmp_path / "log"
    log.write_bytes(LINE * 1000)
    shipper = LogShipper(store, "run-1", 1, log, timeout=30.0)
    shipper.start()
    assert store.refused.wait(10.0)
    with open(log, "ab") as more:
        more.write(LINE * 1000)

    store.is_healed.set()
    shipper.finish()

    assert shipper.problem is None
    assert b"".join(read_log(store, "run-1", 1)) == LINE * 2000


def test_a_log_that_cannot_be_stored_says_so(tmp_path: Path) -> None:
    store, log = FailingStore(), tmp_path / "log"
    log.write_bytes(LINE)
    shipper = LogShipper(store, "run-1", 1, log, timeout=0.1)
    shipper.start()

    shipper.finish()

    assert shipper.problem is not None
    assert shipper.problem.message == "the store does not answer"


def test_progress_and_files_can_be_seen_while_the_command_runs(each_node: Node) -> None:
    script = 'echo 1 > {outputs.model}/a; echo "0.35 epoch 7" >> $RAYKQI_PROGRESS; echo ready; sleep 300'
    order = each_node.order("sh", "-c", script)
    run = Background(each_node, order)
    store = each_node.store

    eventually(lambda: (beat := read_beat(store, order.attempt.run, 1)) and beat.progress == 0.35, "the beat tells it")
    beat = read_beat(store, order.attempt.run, 1)
    assert beat is not None
    assert (beat.phase, beat.text, beat.node) == ("running", "epoch 7", "node-1")
    assert [(file.output, file.path, file.size) for file in beat.files] == [("model", "a", 2)]
    assert beat.pid > 0

    run.supervisor.stop(0.0)
    run.wait()
    last = read_beat(store, order.attempt.run, 1)
    assert last is not None
    assert (last.phase, last.progress) == ("ended", 0.35)


def _memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
