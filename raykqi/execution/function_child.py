"""A process that calls functions for another one: `function_child DESCRIPTOR LIFELINE KEPT-VARIABLE…`.

Whatever a function does to its process (`os._exit`, a crash, memory) ends this one alone. It ends by
itself when the other side goes away.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from multiprocessing.connection import Connection
from types import FrameType

from raykqi.execution.functions import run_functions
from raykqi.settings import forget_environment

__all__ = ["main"]

_calling = threading.Event()


def main() -> None:
    """Each request is the arguments of one call of `run_functions`; the answer is what it returned."""
    requests = Connection(int(sys.argv[1]))
    lifeline = int(sys.argv[2])
    os.set_inheritable(requests.fileno(), False)
    os.set_inheritable(lifeline, False)
    forget_environment(tuple(sys.argv[3:]))
    signal.signal(signal.SIGINT, _interrupted)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    while True:
        try:
            orders, settings, folder, gpus, node = requests.recv()
        except EOFError:
            return
        _calling.set()
        try:
            ended = run_functions(orders, settings, folder=folder, gpus=gpus, node=node)
        finally:
            _calling.clear()
        requests.send(ended)


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    if _calling.is_set():
        raise KeyboardInterrupt


def _end_with(lifeline: int) -> None:
    """Nobody ever writes there; the end of it is the end of the other side."""
    os.read(lifeline, 1)
    os._exit(1)


if __name__ == "__main__":
    main()
