"""The matching half of `triggers`: the full command path against many plans and data, without nodes."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import raykqi
from raykqi.controller.controller import Controller
from raykqi.domain.data import TreeRef
from raykqi.domain.events import Event, PlanApplied, RunOutput, RunRecorded
from raykqi.domain.ids import IdMaker, SystemClock
from raykqi.domain.plan import Definition, PlanInput, PlanOutput, PlanSettings
from raykqi.domain.tags import Tag
from raykqi.engine.commands import NewOutput, RecordRun
from raykqi.journal.codec import GENESIS
from raykqi.journal.log import Journal
from raykqi.opening import open_parts
from raykqi.settings import Settings
from raykqi.storage.filesystem import open_store

__all__ = ["measure_matching"]

PLANS = 10_000
ENTRY = 1_000
SINGLES = 60
TREE = TreeRef("0" * 64, 1, 1)


def measure_matching(folder: Path, *, data: int, bulk: int) -> tuple[float, float]:
    """Milliseconds for one event (p50), and events a second in bulk. Each event makes one run of one plan."""
    chance = random.Random(7)
    _write_journal(folder, data, chance)
    parts = open_parts(str(folder), Settings())
    try:
        controller = parts.controller
        seen = _runs(controller)
        times = []
        for number in range(SINGLES):
            began = time.perf_counter()
            controller.submit(_push(number, chance))
            times.append(time.perf_counter() - began)
        began = time.perf_counter()
        answers = [controller.submit_later(_push(SINGLES + number, chance)) for number in range(bulk)]
        for answer in answers:
            answer.result()
        seconds = time.perf_counter() - began
        made = _runs(controller) - seen
        if made != 2 * (SINGLES + bulk):
            raise SystemExit(f"{SINGLES + bulk} data made {made} runs, uploads included")
    finally:
        controller.close()
        parts.keeper.index.close()
        parts.store.close()
    return statistics.median(times) * 1000, bulk / seconds


def _push(number: int, chance: random.Random) -> RecordRun:
    tags = (Tag("stage", f"s{number % PLANS}"), Tag("kind", "k1"), *_others(chance))
    return RecordRun("bench", "raykqi#uploaded", (NewOutput("/upload", TREE, tags),))


def _others(chance: random.Random) -> Iterator[Tag]:
    return (Tag(f"t{i}", f"v{chance.randrange(50)}") for i in range(6))


def _runs(controller: Controller) -> int:
    return int(controller.keeper.index.rows("SELECT count(*) FROM run")[0][0])


def _write_journal(folder: Path, data: int, chance: random.Random) -> None:
    raykqi.init(folder)
    journal = Journal(open_store(str(folder), Settings()))
    seq, prev = 0, GENESIS
    batch: list[Event] = []
    for event in _history(data, chance):
        batch.append(event)
        if len(batch) == ENTRY:
            seq += 1
            prev = journal.append(seq=seq, epoch=1, time=datetime.now(UTC), prev=prev, events=batch).hash
            batch = []


def _history(data: int, chance: random.Random) -> Iterator[Event]:
    ids, now = IdMaker(SystemClock()), datetime.now(UTC)
    for number in range(PLANS):
        given = PlanInput("a", "/in/a", (Tag("stage", f"s{number}"), Tag("kind", "k1")))
        made = PlanOutput("b", "/out/b", (Tag("made", f"m{number}"),))
        definition = Definition((given,), (made,), command=("true",), name=f"plan {number}")
        yield PlanApplied(now, "bench", ids.new(), definition.digest, definition, PlanSettings())
    for number in range(data):
        tags = (Tag("kind", f"k{number % 10}"), Tag("name", f"d{number}"), *_others(chance))
        yield RunRecorded(
            now, "bench", ids.new(), "raykqi#uploaded", (), (RunOutput("/upload", ids.new(), TREE, tags),)
        )
