"""The JSON shape of a run, as the command line prints it and hooks get it. Fields are added, never taken away."""

from __future__ import annotations

from typing import Any

import msgspec

from raykqi.domain.run import Run

__all__ = ["run_record"]


def run_record(run: Run) -> dict[str, Any]:
    """`id project plan title status attempt created updated creator inputs[]{name data path} outputs[]{name data
    path} started ended exit{code message} reason place node usage{wall cpu memory gpu gpu_memory}
    cause{kind by data tags[]} reused_from`.
    """
    record: dict[str, Any] = msgspec.to_builtins(run)
    if run.cause:
        record["cause"] = record["cause"] | {"tags": [str(tag) for tag in run.cause.tags]}
    if run.usage:
        record["usage"] = {"wall": 0.0, "cpu": 0.0, "memory": 0, "gpu": 0.0, "gpu_memory": 0} | record["usage"]
    return record
