"""From data to the first line of a plan's code, and matching: `python -m benchmarks.triggers [--quick]`."""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

import raykqi
from benchmarks.functions import begun
from benchmarks.matching import measure_matching
from benchmarks.report import Figure, report
from raykqi.domain.run import Run
from raykqi.workspace import Workspace

WARMING = 5
COMMAND = """
launcher: sandbox
command: [/bin/sh, -c, "date +%s.%N > /out/moment/moment"]
inputs: [{path: /in/data, tags: ["bench:command"]}]
outputs: [{path: /out/moment, tags: []}]
resources: {cpu: 1, memory: 64Mi}
"""


def main(*, quick: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="raykqi-bench-") as name:
        matching = measure_matching(
            Path(name) / "matching", data=150_000 if quick else 1_000_000, bulk=2_000 if quick else 10_000
        )
        function, command = _latencies(Path(name), 40 if quick else 300, 6 if quick else 30)
    report(
        "triggers: from a commit to what it causes",
        [
            Figure("function_p50_ms", statistics.median(function), "≤ 60 ms", "function plan, first line, p50"),
            Figure("function_p99_ms", _p99(function), "≤ 300 ms", "the same, p99"),
            Figure("command_p50_ms", statistics.median(command), "≤ 1,200 ms", "command plan in a sandbox, p50"),
            Figure("match_ms", matching.push_ms, "≤ 20 ms", "push against 10,000 plans, whole command path, p50"),
            Figure("match_tag_ms", matching.tag_ms, "–", "the same of a tag that makes old data match"),
            Figure("match_end_ms", matching.end_ms, "–", "the same of a run that ends, whose output matches"),
            Figure("match_bulk_s", matching.bulk, "≥ 1,000/s", "pushes in bulk, events a second"),
        ],
    )


def _latencies(folder: Path, functions: int, commands: int) -> tuple[list[float], list[float]]:
    root = folder / "workspace"
    raykqi.init(root)
    source = folder / "source"
    source.mkdir()
    (source / "file").write_bytes(b"content")
    with raykqi.open(root) as workspace, workspace.serving():
        workspace.apply(begun)
        workspace.apply(COMMAND)
        for _ in range(WARMING):
            _milliseconds(workspace, source, "bench:latency", "out")
        function = [_milliseconds(workspace, source, "bench:latency", "out") for _ in range(functions)]
        command = [_milliseconds(workspace, source, "bench:command", "moment") for _ in range(commands)]
    return function, command


def _milliseconds(workspace: Workspace, source: Path, tag: str, output: str) -> float:
    """The time of the event that made the data lies before its commit, so this is no less than asked for."""
    data = workspace.push(source, [tag])
    (run,) = workspace.runs(input=data)
    (run,) = workspace.wait(run, timeout=60)
    return (float(b"".join(workspace.cat(_made(run, output), "moment"))) - data.created.timestamp()) * 1000


def _made(run: Run, output: str) -> str:
    if run.status != "done":
        raise SystemExit(f"run {run.id} is {run.status}: {run.exit}")
    return next(made.data for made in run.outputs if made.name == output)


def _p99(times: list[float]) -> float:
    return sorted(times)[max(0, int(len(times) * 0.99) - 1)]


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
