"""Says as JSON what a cluster is like once it is as wanted, or when the time is over. Run by `nodes.py`."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import ray
from ray.util import list_named_actors

BESIDES = ("CPU", "GPU")


def main(address: str, within: float, wanted: list[str]) -> None:
    """`wanted` are names of nodes that are there, and "idle" for: nothing is taken and no actor is left."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # Ray prints what it wants to say
    deadline = time.monotonic() + within
    while True:
        try:
            seen = look(address)
        except Exception as error:
            seen = {"problem": repr(error), "nodes": [], "total": {}, "free": {}, "actors": []}
        nodes = [name for name in wanted if name != "idle"]
        is_there = all(name in seen["nodes"] for name in nodes)
        is_idle = "idle" not in wanted or (seen["total"] == seen["free"] and not seen["actors"])
        if (is_there and is_idle) or time.monotonic() > deadline:
            print(json.dumps(seen), file=answer, flush=True)
            return
        time.sleep(0.2)


def look(address: str) -> dict[str, Any]:
    if not ray.is_initialized():
        ray.init(address=address, namespace="raykqi", log_to_driver=False, logging_level="ERROR")
    listed: Any = ray.nodes
    return {
        "nodes": sorted(node["NodeName"] for node in listed() if node["Alive"]),
        "total": {name: ray.cluster_resources().get(name, 0) for name in BESIDES},
        "free": {name: ray.available_resources().get(name, 0) for name in BESIDES},
        "actors": [actor["name"] for actor in list_named_actors(all_namespaces=True)],
    }


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), sys.argv[3:])
