"""How long the command line takes, whole process: `python -m benchmarks.cli [--quick]`."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import raykqi
from benchmarks.report import Figure, report


def main(*, quick: bool) -> None:
    repeats = 9 if quick else 31
    with tempfile.TemporaryDirectory(prefix="raykqi-bench-") as name:
        root, source = Path(name) / "workspace", Path(name) / "source"
        source.mkdir()
        (source / "file").write_text("hello")
        raykqi.init(root)
        with raykqi.open(root) as workspace:
            for number in range(100):
                workspace.push(source, ["type:dataset", f"number:{number}"], name=True)
        command = [str(Path(sys.executable).with_name("raykqi")), "data", "find", "-t", "type:dataset"]
        environment = {**os.environ, "RAYKQI_WORKSPACE": str(root)}
        times = [_seconds(command, environment) for _ in range(repeats + 1)][1:]
    found = statistics.median(times)
    report(
        f"cli: median of {repeats}",
        [Figure("find_s", found, "≤ 0.8 s", "raykqi data find -t type:dataset, 100 data")],
    )


def _seconds(command: list[str], environment: dict[str, str]) -> float:
    began = time.perf_counter()
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    took = time.perf_counter() - began
    if len(done.stdout.splitlines()) < 50:
        raise SystemExit(f"`data find` printed too little:\n{done.stdout}")
    return took


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
