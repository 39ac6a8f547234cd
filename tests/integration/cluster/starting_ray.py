"""A process that starts a Ray of its own, says what it is like, and ends it. Run by `test_local_ray.py`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import psutil

from raykqi.cluster.local_ray import start_or_join


def main() -> None:
    with start_or_join(cpus=1, resources={"license": 2}, labels={"zone": "b"}) as handle:
        import ray

        from raykqi.cluster.shapes import node_shapes

        @ray.remote
        def inside() -> tuple[int, int]:
            import os

            return os.getpid(), os.getpriority(os.PRIO_PROCESS, 0)

        pid, nice = ray.get(inside.remote())
        started = psutil.Process().children(recursive=True)
        folder = Path(str(ray._private.worker._global_node.get_session_dir_path())).parent
        shape = node_shapes()[0]
        said = {
            "address": handle.address,
            "dashboard": handle.dashboard,
            "is_own": handle.is_own,
            "nice": nice,
            "token": (folder / "token").stat().st_mode & 0o777,
            "folder": str(folder),
            "pids": [pid, *(process.pid for process in started)],
            "agents": [process.pid for process in started if process.name().startswith("ray::")],
            "custom": shape.total.custom,
            "zone": shape.labels["zone"],
        }
        print(json.dumps(said), flush=True)
        sys.stdin.readline()
        began = time.monotonic()
    print(json.dumps({"closing": time.monotonic() - began}), flush=True)


if __name__ == "__main__":
    main()
