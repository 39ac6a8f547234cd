"""Function plans that benchmarks run."""

from __future__ import annotations

import time
from pathlib import Path

import raykqi

__all__ = ["begun", "small"]


@raykqi.plan(inputs={"data": ["bench:latency"]}, outputs={"out": []}, resources={"cpu": 1, "memory": "64Mi"})
def begun(data: Path, out: Path) -> None:  # noqa: ARG001
    """Says when its first line was reached."""
    moment = time.time()
    (out / "moment").write_text(repr(moment))


@raykqi.plan(inputs={"data": ["bench:many"]}, outputs={"out": ["made:1"]}, resources={"cpu": 1, "memory": "64Mi"})
def small(data: Path, out: Path) -> None:
    """One small output."""
    (out / "result").write_bytes((data / "file").read_bytes())
