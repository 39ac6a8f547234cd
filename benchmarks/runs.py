"""Many runs, many that wait, and what raykqi itself costs: `python -m benchmarks.runs [--quick]`."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import ray

import raykqi
from benchmarks.functions import small
from benchmarks.report import Figure, report
from raykqi.domain.data import TreeRef
from raykqi.domain.tags import Tag
from raykqi.engine.commands import NewOutput, RecordRun
from raykqi.opening import Parts, open_parts
from raykqi.settings import Settings
from raykqi.storage.push import push_bytes
from raykqi.workspace import Workspace

RUNS = 2_000
WAITING = 10_000
PLANS = 1_000
REPEATS = 21
BURN = """
import sys, time
began, rounds = time.perf_counter(), int(sys.argv[1])
x = 0
for i in range(rounds):
    x = (x * 1103515245 + i) % 2147483648
print(time.perf_counter() - began)
"""
ROUNDS_A_SECOND = 9_000_000


def main(*, quick: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="raykqi-bench-") as name:
        folder = Path(name)
        list_ms, show_ms = _questions(folder / "waiting")
        with _opened(folder / "runs") as workspace, workspace.serving():
            ours, bare = _throughput(workspace, folder)
            overhead = _overhead(workspace, 10 if quick else 30)
            idle = _idle(workspace, 8 if quick else 20)
    report(
        f"runs: {RUNS:,} small function runs, {WAITING:,} that wait, {PLANS:,} plans",
        [
            Figure("vs_bare_ray", ours / bare, "≥ 0.20", f"runs a second ({ours:,.0f}) ÷ bare Ray tasks ({bare:,.0f})"),
            Figure("list_ms", list_ms, "≤ 50 ms", "first page of `run find`, p50"),
            Figure("show_ms", show_ms, "≤ 50 ms", "`run show`, p50"),
            Figure("idle_cpu", idle, "≤ 0.01", "controller with nothing to do, share of a core"),
            Figure("cpu_overhead", overhead, "≤ 1.03", "CPU-bound command, its own time ÷ bare, side by side"),
        ],
    )


def _opened(root: Path) -> Workspace:
    raykqi.init(root)
    return raykqi.open(root)


def _throughput(workspace: Workspace, folder: Path) -> tuple[float, float]:
    """Runs a second from the first push to the last run's end, and the same of tasks that write the same file."""
    plan = workspace.apply(small)
    _push_many(workspace, 50, "bench:many")
    workspace.wait(timeout=120)
    began = time.perf_counter()
    _push_many(workspace, RUNS, "bench:many")
    workspace.wait(timeout=600)
    ours = RUNS / (time.perf_counter() - began)
    done = workspace.plan(plan).runs
    if done != {"done": RUNS + 50}:
        raise SystemExit(f"the runs are {done}")

    @ray.remote(max_retries=0)
    def bare(number: int) -> None:
        made = folder / "bare" / str(number)
        made.mkdir(parents=True)
        (made / "result").write_bytes(b"content")

    ray.get([bare.remote(-number - 1) for number in range(50)])
    began = time.perf_counter()
    ray.get([bare.remote(number) for number in range(RUNS)])
    return ours, RUNS / (time.perf_counter() - began)


def _push_many(workspace: Workspace, count: int, tag: str) -> None:
    """Data of one small file each, recorded together; the bytes are the same, so they are stored once."""
    parts: Parts = workspace._parts
    tree = push_bytes(parts.store, {"file": b"content"}).tree
    _record(parts, tree, count, tag)


def _record(parts: Parts, tree: TreeRef, count: int, tag: str) -> None:
    key, _, value = tag.partition(":")
    command = RecordRun("bench", "raykqi#uploaded", (NewOutput("/upload", tree, (Tag(key, value),)),))
    for answer in [parts.controller.submit_later(command) for _ in range(count)]:
        answer.result()


def _questions(root: Path) -> tuple[float, float]:
    raykqi.init(root)
    parts = open_parts(str(root), Settings())
    with Workspace(parts, Settings()) as workspace:
        workspace.apply(small)
        _push_many(workspace, WAITING, "bench:many")
        page = workspace.run_page(workspace.run_query(status="waiting"))
        if len(page.items) != 50 or page.items[0].place != WAITING:
            raise SystemExit(f"the first page holds {len(page.items)} runs")
        middle = workspace.runs(limit=WAITING // 2)[-1]
        return _p50_ms(lambda: workspace.run_page(workspace.run_query())), _p50_ms(lambda: workspace.run(middle.id))


def _overhead(workspace: Workspace, seconds: int) -> float:
    """Both at the same moment, each on a core, so that a busy machine slows both."""
    rounds = str(seconds * ROUNDS_A_SECOND)
    plan = workspace.apply(_burning(rounds))
    _push_many(workspace, 1, "bench:burn")
    (run,) = workspace.runs(plan=plan)
    workspace.wait(run, until=("running",), timeout=60)
    bare = subprocess.run([sys.executable, "-c", BURN, rounds], check=True, capture_output=True, text=True)
    (run,) = workspace.wait(run, timeout=600)
    if run.status != "done":
        raise SystemExit(f"the command is {run.status}: {run.exit}")
    return float(b"".join(workspace.logs(run))) / float(bare.stdout)


def _burning(rounds: str) -> str:
    lines = [f"    {line}" for line in BURN.strip().splitlines()]
    return "\n".join(
        [
            "command:",
            f"  - {sys.executable}",
            "  - -c",
            "  - |",
            *lines,
            f"  - '{rounds}'",
            "inputs: [{path: /in/data, tags: ['bench:burn']}]",
            "resources: {cpu: 1, memory: 64Mi}",
            "",
        ]
    )


def _idle(workspace: Workspace, seconds: int) -> float:
    template = "name: idle {0}\ncommand: ['true']\ninputs: [{{path: /in, tags: ['idle:{0}']}}]\n"
    for number in range(PLANS):
        workspace.apply(template.format(number))
    workspace.wait(timeout=60)
    time.sleep(3)
    began, used = time.perf_counter(), time.process_time()
    time.sleep(seconds)
    return (time.process_time() - used) / (time.perf_counter() - began)


def _p50_ms(ask: Callable[[], object]) -> float:
    ask()
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        ask()
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
