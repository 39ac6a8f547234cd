"""Find, lineage, rebuild and opening on a large index: `python -m benchmarks.catalog [--quick]`.

The journal is written first; everything that is timed starts from it.
Each data has 8 tags; each run takes one earlier data, so there are about as many edges as data twice over.
"""

from __future__ import annotations

import itertools
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import raykqi
from benchmarks.report import Figure, report
from raykqi.domain.data import TreeRef
from raykqi.domain.events import Event, RunInput, RunOutput, RunRecorded, TagsChanged
from raykqi.domain.ids import IdMaker, SystemClock
from raykqi.domain.tags import Tag
from raykqi.journal.codec import GENESIS
from raykqi.journal.log import Journal
from raykqi.settings import Settings
from raykqi.storage.filesystem import open_store
from raykqi.workspace import Workspace

ENTRY = 1_000
SINGLES = 5_000
CLOSURE = 1_000
REPEATS = 31
_OPEN = """
import sys, time
began = time.perf_counter()
import raykqi
workspace = raykqi.open(sys.argv[1])
print(time.perf_counter() - began)
"""


def main(*, quick: bool) -> None:
    count = 200_000 if quick else 1_000_000
    chance = random.Random(7)
    with tempfile.TemporaryDirectory(prefix="raykqi-bench-") as name:
        root = Path(name) / "workspace"
        raykqi.init(root)
        tips: list[str] = []
        batches = make_batches(count, chance, tips)
        # Four fifths are there when the index is made; the rest comes in while it is in use.
        journal = Writer(root)
        events = journal.append(itertools.islice(batches, count * 4 // 5 // ENTRY))
        began = time.perf_counter()
        with raykqi.open(root) as workspace:
            rebuild_rate = events / (time.perf_counter() - began)
            for batch in batches:
                journal.append([batch])
                workspace.find(limit=1)
            find_ms = _find_ms(workspace, chance, limit=50)
            all_ms = _find_ms(workspace, chance, limit=1_000)
            lineage_ms = _lineage_ms(workspace, tips)
        open_s = statistics.median(_open_seconds(root) for _ in range(3))
        single_rate = _single_events_rate(Path(name) / "singles", chance)
    report(
        f"catalog: {count:,} data × 8 tags, a fifth of them added after the index was made",
        [
            Figure("find_ms", find_ms, "≤ 20 ms", "find by 3 tags, 1,000 hits, their first page of 50, p50"),
            Figure("find_all_ms", all_ms, "–", "the same, all 1,000 hits with all their tags"),
            Figure("lineage_ms", lineage_ms, "≤ 50 ms", f"closure of {CLOSURE:,} nodes, p50"),
            Figure(
                "rebuild_events_s", rebuild_rate, "≥ 50,000/s", f"rebuild from the journal, entries of {ENTRY} events"
            ),
            Figure("rebuild_single_events_s", single_rate, "–", "the same, entries of one event"),
            Figure("open_s", open_s, "≤ 1 s", "open with a current index, in a new process, imports included"),
        ],
    )


class Writer:
    """Writes entries as a controller would, without an index to slow it down."""

    def __init__(self, root: Path) -> None:
        self._journal = Journal(open_store(str(root), Settings()))
        self._seq, self._prev = 0, GENESIS

    def append(self, batches: Iterable[list[Event]]) -> int:
        """The number of events."""
        events = 0
        for batch in batches:
            self._seq += 1
            entry = self._journal.append(seq=self._seq, epoch=1, time=datetime.now(UTC), prev=self._prev, events=batch)
            self._prev = entry.hash
            events += len(batch)
        return events


def _single_events_rate(root: Path, chance: random.Random) -> float:
    raykqi.init(root)
    events = Writer(root).append([event] for batch in make_batches(SINGLES, chance, []) for event in batch)
    began = time.perf_counter()
    with raykqi.open(root):
        return events / (time.perf_counter() - began)


def make_batches(count: int, chance: random.Random, tips: list[str]) -> Iterator[list[Event]]:
    ids, now = IdMaker(SystemClock()), datetime.now(UTC)
    made: list[str] = []
    batch: list[Event] = []
    for number in range(count):
        # Families of 500 data, each made of the one before or of a cousin: 500 data and 500 runs above its tip.
        first = number - number % (CLOSURE // 2)
        inputs = () if number == first else (RunInput("in", made[-1]),)
        if number - first > 2:
            inputs = (*inputs, RunInput("also", made[chance.randrange(first, number)])) if number % 9 == 0 else inputs
        tags = (
            Tag("kind", f"k{number % 10}"),
            Tag("split", f"s{number // 10 % 10}"),
            Tag("site", f"p{number // 100 % max(count // 100_000, 1)}"),
            Tag("name", f"データ-{number}"),
            *(Tag(f"t{i}", f"v{chance.randrange(50)}") for i in range(4)),
        )
        output = RunOutput("/upload", ids.new(), TreeRef(f"{number:064x}", number, 1), tags)
        made.append(output.data)
        batch.append(RunRecorded(now, "bench", ids.new(), "raykqi#uploaded", inputs, (output,)))
        if number % 10 == 9:
            batch.append(TagsChanged(now, "bench", made[chance.randrange(number)], (), (Tag("later", f"l{number}"),)))
        if number - first == CLOSURE // 2 - 1:
            tips.append(made[-1])
        if len(batch) >= ENTRY:
            yield batch
            batch = []
    if batch:
        yield batch


def _find_ms(workspace: Workspace, chance: random.Random, limit: int) -> float:
    def ask() -> object:
        kind, split = f"kind:k{chance.randrange(10)}", f"split:s{chance.randrange(10)}"
        hits = workspace.find(kind, split, "site:p1", limit=limit)
        if len(hits) != limit:
            raise SystemExit(f"found {len(hits)} data, not {limit}")
        return hits

    return _p50_ms(ask)


def _lineage_ms(workspace: Workspace, tips: list[str]) -> float:
    tip = iter(tips)

    def ask() -> object:
        found = workspace.lineage(next(tip), way="up")
        if len(found.data) + len(found.runs) != CLOSURE:
            raise SystemExit(f"the closure has {len(found.data) + len(found.runs)} nodes, not {CLOSURE}")
        return found

    return _p50_ms(ask)


def _p50_ms(ask: Callable[[], object]) -> float:
    ask()
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        ask()
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


def _open_seconds(root: Path) -> float:
    command = [sys.executable, "-c", _OPEN, str(root)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
