"""Journals written by several processes that race, compact and are killed: acknowledged is kept, once, in order."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from raykqi.domain.events import DataPurged
from raykqi.journal.log import Journal
from raykqi.journal.owning import open_ownership
from raykqi.settings import Settings
from raykqi.storage.filesystem import open_store

# Appends after whatever is there, says each reason once it is durable, and begins again when fenced.
WRITER = """
import sys
from datetime import UTC, datetime
from raykqi.domain.events import DataPurged
from raykqi.errors import Fenced
from raykqi.journal.codec import GENESIS, next_time
from raykqi.journal.log import Journal
from raykqi.journal.owning import open_ownership
from raykqi.settings import Settings
from raykqi.storage.filesystem import open_store

url, name, count, locks, compacts = sys.argv[1], sys.argv[2], int(sys.argv[3]), *(arg == "yes" for arg in sys.argv[4:6])
store = open_store(url, Settings())
ownership = open_ownership(store, user=name)
journal = Journal(store, writer=name, guard=ownership.check if locks else lambda: None)
last = None
print("ready", flush=True)
sys.stdin.readline()


def append(number):
    global last
    for last in journal.tail(last.seq if last else 0, last.hash if last else None):
        pass
    now = datetime.now(UTC)
    event = DataPurged(at=now, by=name, data="d", reason=f"{name} {number}")
    last = journal.append(
        seq=last.seq + 1 if last else 1,
        epoch=1,
        time=next_time(last and last.time, now),
        prev=last.hash if last else GENESIS,
        events=[event],
    )


number = 0
while number < count:
    try:
        if locks:
            with ownership.held(60):
                append(number)
        else:
            append(number)
    except Fenced:
        continue
    print(f"{name} {number}", flush=True)
    number += 1
    if compacts and number % 7 == 0:
        journal.compact(last.seq, min_age=0)
ownership.close()
store.close()
"""


def writer(url: Path, name: str, count: int, *, locks: bool, compacts: bool = False) -> subprocess.Popen[str]:
    flags = ["yes" if flag else "no" for flag in (locks, compacts)]
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(url), name, str(count), *flags],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def reasons(url: Path) -> list[str]:
    entries = Journal(open_store(str(url), Settings())).read()
    return [event.reason for entry in entries for event in entry.events if isinstance(event, DataPurged)]


@pytest.mark.parametrize(("locks", "compacts"), [(True, False), (True, True), (False, False)])
def test_processes_that_write_at_once_take_turns(tmp_path: Path, locks: bool, compacts: bool) -> None:
    writers = [writer(tmp_path / "w", f"w{number}", 40, locks=locks, compacts=compacts) for number in range(3)]

    for process in writers:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=120) for process in writers]

    assert [process.returncode for process in writers] == [0, 0, 0], outputs
    found = reasons(tmp_path / "w")
    assert sorted(found) == sorted(f"w{number} {turn}" for number in range(3) for turn in range(40))
    for number in range(3):
        assert [reason for reason in found if reason.startswith(f"w{number}")] == [f"w{number} {n}" for n in range(40)]


def test_what_a_killed_writer_was_told_is_in_the_journal(tmp_path: Path) -> None:
    chance = random.Random(7)
    acknowledged: list[str] = []
    for life in range(12):
        process = writer(tmp_path / "w", f"life{life}", 1_000_000, locks=True, compacts=True)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        told = [process.stdout.readline().strip() for _ in range(chance.randint(1, 40))]
        process.send_signal(signal.SIGKILL)
        told += process.communicate()[0].split("\n")
        acknowledged += [line for line in told if line.startswith("life")]

        found = reasons(tmp_path / "w")
        # The last line may be cut off, and the last entry unacknowledged; nothing else may differ.
        assert Counter(acknowledged[:-1]) - Counter(found) == Counter()
        assert max(Counter(found).values()) == 1
    assert len(reasons(tmp_path / "w")) >= len(acknowledged) - 12


def test_the_lock_of_a_killed_process_is_free_at_once(tmp_path: Path) -> None:
    process = writer(tmp_path / "w", "killed", 1_000_000, locks=True)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()

    ownership = open_ownership(open_store(str(tmp_path / "w"), Settings()))
    ownership.acquire(0)

    assert ownership.is_held
    ownership.close()
