"""A local workspace has one writer; the others learn who it is, and the dead hold nothing."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from raykqi.errors import Fenced, StorageError, WorkspaceOwned
from raykqi.journal.filelock import FileLock
from raykqi.journal.ownership import Kind, this_owner

HOLD = """
import sys
from pathlib import Path
from raykqi.journal.filelock import FileLock
from raykqi.journal.ownership import this_owner
lock = FileLock(this_owner(sys.argv[2], url=sys.argv[3], user="tanaka"), Path(sys.argv[1]))
lock.acquire(10)
print("held", flush=True)
sys.stdin.read()
"""


def lock(root: Path, kind: Kind = "embedded", url: str = "", user: str = "sato") -> FileLock:
    return FileLock(this_owner(kind, url=url, user=user), root)


def holder(root: Path, kind: Kind = "embedded", url: str = "") -> subprocess.Popen[str]:
    """Another process that has the lock until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(root), kind, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.communicate()


def test_another_program_is_named_with_its_process(tmp_path: Path) -> None:
    other = holder(tmp_path)

    with pytest.raises(WorkspaceOwned) as error:
        lock(tmp_path).acquire(0.05)
    end(other)

    assert error.value.message.startswith(f"the workspace {tmp_path} is in use by another program of tanaka (process ")
    assert f"process {other.pid} on {os.uname().nodename}, since 20" in error.value.message
    assert "RAYKQI_LOCK_TIMEOUT" in error.value.hint


def test_a_server_is_named_by_its_url_without_waiting_long(tmp_path: Path) -> None:
    other = holder(tmp_path, "server", "http://gpu1:8265")
    began = time.monotonic()

    with pytest.raises(WorkspaceOwned, match="is in use by the server at http://gpu1:8265") as error:
        lock(tmp_path).acquire(60)
    end(other)

    assert time.monotonic() - began < 30
    assert error.value.hint == "Connect to http://gpu1:8265: while that server runs, it does the writing."


def test_the_owner_is_written_down_for_others(tmp_path: Path) -> None:
    first, second = lock(tmp_path, "server", "http://a-rather-long-name.example:8265"), lock(tmp_path)
    first.acquire(0)
    first.release()
    second.acquire(0)

    written = json.loads((tmp_path / "writer.lock").read_text())

    assert (written["kind"], written["url"], written["user"]) == ("embedded", "", "sato")
    assert written["process"]["pid"] == os.getpid()
    first.close()
    second.close()


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    other = holder(tmp_path)
    other.send_signal(signal.SIGKILL)
    other.communicate()

    mine = lock(tmp_path)
    mine.acquire(0)

    assert mine.is_held
    mine.close()


def test_a_child_of_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    script = HOLD.replace("sys.stdin.read()", "import os\nif os.fork():\n    os.kill(os.getpid(), 9)\nsys.stdin.read()")
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path), "embedded", ""],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    other.wait()

    mine = lock(tmp_path)
    mine.acquire(5)  # the child gives up its share as soon as it runs

    assert mine.is_held
    mine.close()
    end(other)


def test_a_batch_holds_the_lock_and_gives_it_back(tmp_path: Path) -> None:
    first, second = lock(tmp_path), lock(tmp_path)

    with first.held(0):
        first.check()
        with pytest.raises(WorkspaceOwned), second.held(0.01):
            pass
    with second.held(0):
        second.check()

    with pytest.raises(Fenced, match=r"writer\.lock is not locked by this controller"):
        first.check()
    first.close()
    second.close()


def test_a_lock_that_is_held_for_longer_outlasts_its_batches(tmp_path: Path) -> None:
    server, other = lock(tmp_path, "server", "http://gpu1:8265"), lock(tmp_path)
    server.acquire(0)

    with server.held(0):
        pass

    with pytest.raises(WorkspaceOwned):
        other.acquire(0)
    server.close()
    other.close()


def test_a_removed_lock_file_does_not_let_two_in(tmp_path: Path) -> None:
    first, second = lock(tmp_path), lock(tmp_path)
    with first.held(0):
        pass
    (tmp_path / "writer.lock").unlink()

    second.acquire(0)
    with pytest.raises(WorkspaceOwned):
        first.acquire(0.01)

    first.close()
    second.close()


def test_a_lock_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "writer.lock").mkdir()

    with pytest.raises(StorageError, match=r"cannot lock .*writer\.lock: Is a directory"):
        lock(tmp_path).acquire(0)


def count_alone(root: Path, batches: int, path: Path) -> None:
    mine = lock(root)
    for _ in range(batches):
        with mine.held(30):
            path.write_text(str(int(path.read_text()) + 1))
    mine.close()


def test_many_processes_and_threads_never_write_at_once(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=count_alone, args=(tmp_path, 100, counter)) for _ in range(2)]
    threads = [threading.Thread(target=count_alone, args=(tmp_path, 100, counter)) for _ in range(2)]

    workers: list[BaseProcess | threading.Thread] = [*processes, *threads]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert counter.read_text() == "400"


def keep_busy(root: Path, started: Event, enough: Event) -> None:
    mine = lock(root)
    while not enough.is_set():
        with mine.held(30):
            started.set()
            sum(range(300_000))  # long, compared with the moment between two batches
    mine.close()


def test_a_busy_writer_does_not_starve_another(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    started, enough = spawn.Event(), spawn.Event()
    busy = spawn.Process(target=keep_busy, args=(tmp_path, started, enough))
    busy.start()
    started.wait()
    mine = lock(tmp_path)
    waits = []

    for _ in range(20):
        started.clear()
        started.wait()  # the other one has it again
        began = time.monotonic()
        with mine.held(30):
            waits.append(time.monotonic() - began)
    enough.set()
    busy.join()
    mine.close()

    assert sorted(waits)[10] < 0.1
