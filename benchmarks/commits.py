"""How many acknowledged changes a second one workspace takes: `python -m benchmarks.commits [--quick]`.

Every change is durable when its call returns: 32 threads share the controller's journal entries.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import raykqi
from benchmarks.report import Figure, report
from raykqi.workspace import Workspace

Job = TypeVar("Job")

THREADS = 32
BULK = 1_000


def main(*, quick: bool) -> None:
    pushes, changes, bulks = (1_500, 3_000, 20) if quick else (6_000, 12_000, 100)
    with _workspace() as (workspace, folder):
        sources = list(_sources(folder, pushes + THREADS))
        _in_threads(sources[:THREADS], lambda source: workspace.push(source, ["warm:up"]))
        pushed: list[str] = []
        push_rate = _in_threads(sources[THREADS:], lambda source: pushed.append(workspace.push(source, ["a:1"]).id))
        jobs = list(enumerate(itertools.islice(itertools.cycle(pushed), changes)))
        tag_rate = _in_threads(jobs, lambda job: workspace.tag(job[1], add=[f"n:{job[0]}"]))
        began = time.perf_counter()
        for number in range(bulks):
            workspace.tag(pushed[:BULK], add=[f"bulk:{number}"])
        bulk_rate = bulks * BULK / (time.perf_counter() - began)
        if workspace.fsck().problems or len(workspace.find("a:1")) != pushes:
            raise SystemExit("the workspace does not hold what was acknowledged")
    report(
        f"commits: {THREADS} threads, local workspace",
        [
            Figure("pushes_s", push_rate, "≥ 300/s", "pushes of one 1 KiB file"),
            Figure("tags_s", tag_rate, "≥ 800/s", "tag changes, one data each"),
            Figure("tags_bulk_s", bulk_rate, "≥ 20,000/s", f"tag changes in calls of {BULK:,} data"),
        ],
    )


@contextmanager
def _workspace() -> Iterator[tuple[Workspace, Path]]:
    with tempfile.TemporaryDirectory(prefix="raykqi-bench-") as name:
        folder = Path(name)
        raykqi.init(folder / "workspace")
        with raykqi.open(folder / "workspace") as workspace:
            yield workspace, folder


def _sources(folder: Path, count: int) -> Iterator[Path]:
    for number in range(count):
        source = folder / "sources" / str(number)
        source.mkdir(parents=True)
        (source / "file").write_bytes(number.to_bytes(8, "big") * 128)
        yield source


def _in_threads(jobs: Sequence[Job], work: Callable[[Job], object]) -> float:
    """Jobs a second."""
    waiting = iter(jobs)
    taking = threading.Lock()
    failures: list[BaseException] = []

    def take_and_work() -> None:
        try:
            while True:
                with taking:
                    job = next(waiting, None)
                if job is None:
                    return
                work(job)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=take_and_work) for _ in range(THREADS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return len(jobs) / (time.perf_counter() - began)


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
