"""A process that serves a workspace on a cluster until it is killed, or closes it when its stdin ends.

Run by `served.py`.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path

import ray

from raykqi.cluster.ray_nodes import RayNodes
from raykqi.errors import RaykqiError
from raykqi.opening import open_parts
from raykqi.server import Server
from raykqi.settings import Settings
from raykqi.workspace import Workspace


def main(url: str, address: str, cache: str, folder: str) -> None:
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # Ray prints what it wants to say
    settings = replace(
        Settings.from_env(), user="tester", cache_dir=Path(cache), lock_timeout=20.0, storage_timeout=5.0
    )
    ray.init(address=address, namespace="raykqi", log_to_driver=False, logging_level="ERROR")
    workspace = Workspace(open_parts(url, settings), settings)
    server = workspace.serve(RayNodes(settings, folder=folder, workspace=url))
    print(json.dumps("serving"), file=answer, flush=True)
    threading.Thread(target=end_with, args=(server,), daemon=True).start()
    sys.stdin.read()
    server.close(leave_running=True)
    workspace.close()


def end_with(server: Server) -> None:
    """As `raykqi up` does, when plans cannot be run any more."""
    try:
        while True:
            server.drain(1.0)
    except RaykqiError as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(3)


if __name__ == "__main__":
    main(*sys.argv[1:])
