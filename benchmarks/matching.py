"""The matching half of `triggers`: the full command path against many plans and data, without nodes."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import raykqi
from raykqi.controller.controller import Controller
from raykqi.domain.data import TreeRef
from raykqi.domain.events import Event, PlanApplied, RunOutput, RunRecorded
from raykqi.domain.ids import IdMaker, SystemClock
from raykqi.domain.order import Attempt, Ended, Stored
from raykqi.domain.plan import Definition, PlanInput, PlanOutput, PlanSettings
from raykqi.domain.run import Exit
from raykqi.domain.tags import Tag
from raykqi.engine.commands import ChangeTags, NewOutput, RecordRun
from raykqi.engine.run_commands import EndRun, StartRuns
from raykqi.journal.codec import GENESIS
from raykqi.journal.log import Journal
from raykqi.opening import open_parts
from raykqi.settings import Settings
from raykqi.storage.filesystem import open_store

__all__ = ["Matching", "measure_matching"]

PLANS = 10_000
ENTRY = 1_000
SINGLES = 60
TREE = TreeRef("0" * 64, 1, 1)


class Matching(NamedTuple):
    """Milliseconds for one event (p50) of each kind, and pushes a second in bulk. Each makes one run of one plan."""

    push_ms: float
    tag_ms: float
    end_ms: float
    bulk: float


def measure_matching(folder: Path, *, data: int, bulk: int) -> Matching:
    chance = random.Random(7)
    _write_journal(folder, data, chance)
    parts = open_parts(str(folder), Settings())
    try:
        controller = parts.controller
        seen = _runs(controller)
        push_ms = _p50_ms(lambda number: controller.submit(_push(number, chance)))
        tag_ms, end_ms = _other_events(controller, chance)
        made = _runs(controller) - seen
        if made != 5 * SINGLES:
            raise SystemExit(f"{SINGLES} pushes, tags and ends made {made} runs, uploads included")
        seen = _runs(controller)
        began = time.perf_counter()
        answers = [controller.submit_later(_push(number, chance)) for number in range(bulk)]
        for answer in answers:
            answer.result()
        seconds = time.perf_counter() - began
        made = _runs(controller) - seen
        if made != 2 * bulk:
            raise SystemExit(f"{bulk} data made {made} runs, uploads included")
    finally:
        controller.close()
        parts.keeper.index.close()
        parts.store.close()
    return Matching(push_ms, tag_ms, end_ms, bulk / seconds)


def _other_events(controller: Controller, chance: random.Random) -> tuple[float, float]:
    """A tag that makes old data match, and the end of a run whose output does."""
    untagged = [_push(-1, chance) for _ in range(SINGLES)]
    data = [_output(controller.submit(each)) for each in untagged]
    tag_ms = _p50_ms(
        lambda number: controller.submit(ChangeTags("bench", (data[number],), add=(Tag("stage", f"s{number}"),)))
    )
    rows = controller.keeper.index.rows(
        "SELECT r.id::VARCHAR, d.id::VARCHAR FROM run r JOIN data d ON d.run = r.number"
        " WHERE r.status = 'waiting' ORDER BY r.number LIMIT ?",
        [SINGLES],
    )
    controller.submit(StartRuns("bench", tuple(run for run, _ in rows), "bench"))
    for number, (_, output) in enumerate(rows):
        controller.submit(ChangeTags("bench", (output,), add=(Tag("stage", f"s{number}"), Tag("kind", "k1"))))
    end_ms = _p50_ms(
        lambda number: controller.submit(
            EndRun("bench", Ended(Attempt(rows[number][0], 1), Exit(0), (Stored(rows[number][1], TREE),)))
        )
    )
    return tag_ms, end_ms


def _output(events: list[Event]) -> str:
    return next(event.outputs[0].data for event in events if isinstance(event, RunRecorded))


def _p50_ms(do: Callable[[int], object]) -> float:
    times = []
    for number in range(SINGLES):
        began = time.perf_counter()
        do(number)
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


def _push(number: int, chance: random.Random) -> RecordRun:
    stage = (Tag("stage", f"s{number % PLANS}"),) if number >= 0 else ()
    tags = (*stage, Tag("kind", "k1"), *_others(chance))
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
