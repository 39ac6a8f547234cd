"""The process in which a model runs: `python -m raykqi.serving.worker DESCRIPTOR PARENT`.

It reads how to start, loads the model, lets it answer its sample, says so, and then answers what comes until the other
side goes away. It dies with its parent.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import sys
import traceback
from pathlib import Path

import msgspec

from raykqi.errors import RaykqiError
from raykqi.serving.answering import Answering
from raykqi.serving.card import read_card
from raykqi.serving.finding import find
from raykqi.serving.frames import ABOUT, FAILED, START, Body, Frame, Inbox, frame
from raykqi.serving.loading import load
from raykqi.serving.memory import check_room, limit_memory, offer_to_the_kernel, size_of
from raykqi.serving.running import Running
from raykqi.serving.start import Start

__all__ = ["main"]

PR_SET_PDEATHSIG = 1


def main() -> None:
    descriptor, parent = int(sys.argv[1]), int(sys.argv[2])
    _be_a_child_of(parent)
    connection = socket.socket(fileno=descriptor)
    os.set_inheritable(descriptor, False)
    inbox = Inbox()
    how, early = _started(connection, inbox)
    try:
        answering = _loaded(how)
    except BaseException as error:
        traceback.print_exc()
        _send(connection, frame(FAILED, body=_reason(error, how).encode()))
        raise SystemExit(1) from None
    _send(connection, frame(ABOUT, body=msgspec.msgpack.encode(answering.about)))
    Running(connection, inbox, answering, how.batching).run(early)


def _be_a_child_of(parent: int) -> None:
    """Without the priority, the blocked signals and the place in the kernel's list that a replica has of Ray."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        raise SystemExit("the process that started this one is gone")
    with contextlib.suppress(PermissionError):
        if os.getpriority(os.PRIO_PROCESS, 0) > 0:
            os.setpriority(os.PRIO_PROCESS, 0, 0)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    offer_to_the_kernel()


def _started(connection: socket.socket, inbox: Inbox) -> tuple[Start, list[Frame]]:
    frames: list[Frame] = []
    while not frames:
        count = connection.recv_into(inbox.room())
        if not count:
            raise SystemExit(0)
        frames = inbox.filled(count)
    first, *early = frames
    if first.what != START:
        raise SystemExit("the first of all frames says how to start")
    return msgspec.msgpack.decode(first.body, type=Start), early


def _loaded(how: Start) -> Answering:
    model, code = Path(how.model), Path(how.code) if how.code else None
    found = find(model, code, how.loading, read_card(model, how.tags))
    check_room(size_of(found), how.memory)
    limit_memory(how.memory)
    predictor = load(model, code, how.loading, how.threads, tags=how.tags)
    answering = Answering(predictor, how)
    answering.warm_up()
    return answering


def _reason(error: BaseException, how: Start) -> str:
    if isinstance(error, MemoryError) or "bad_alloc" in str(error):
        limit = f" of {how.memory / 2**20:,.0f} MiB" if how.memory else ""
        return f"the memory{limit} is not enough to load the model"
    if isinstance(error, RaykqiError):
        return f"{error.message}. {error.hint}" if error.hint else error.message
    if isinstance(error, SystemExit):
        return f"the model ended its process while it was loaded: exit {error.code}"
    return f"the model could not be loaded: {type(error).__name__}: {error}"


def _send(connection: socket.socket, pieces: list[Body]) -> None:
    connection.sendall(b"".join(pieces))


if __name__ == "__main__":
    main()
