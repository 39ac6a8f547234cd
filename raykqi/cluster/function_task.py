"""Attempts of function plans inside a pooled worker of Ray: several short ones in one task."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import msgspec
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raykqi.cluster.placement import placement
from raykqi.cluster.run_actor import gpus_here
from raykqi.cluster.shapes import accelerators, this_node
from raykqi.domain.order import Attempt, Ended, Order
from raykqi.execution.folders import remove_folder
from raykqi.execution.functions import run_functions
from raykqi.settings import Settings, forget_environment

__all__ = ["Begun", "carry_out", "decode_ended", "function_task", "interrupt", "last_begun", "same_worker"]

POLITE = signal.SIGUSR2  # the handler below; SIGINT is Ray's, and may come late to another run of the worker
_ended = msgspec.msgpack.Decoder(list[Ended])
_stops: list[Path] = []  # of the orders that this process is at: files that are there when one shall stop


class Begun(NamedTuple):
    """Where a task is: enough to interrupt it."""

    node: str
    node_id: str
    pid: int


def carry_out(orders: bytes, settings: Settings, folder: str) -> Iterator[Begun | bytes]:
    """Tells at once that it has begun, then how all of them ended."""
    signal.signal(POLITE, _interrupted)
    parsed = msgspec.msgpack.decode(orders, type=list[Order])
    begun = _here()
    yield begun
    _stops[:] = [_stop_file(order.attempt, folder) for order in parsed]
    forget_environment(_needed(parsed[0]))
    own = _own_folder(parsed[0], folder)
    try:
        ended = run_functions(parsed, settings, folder=own, gpus=gpus_here(), node=begun.node)
    finally:
        _stops.clear()
        remove_folder(own)
    yield msgspec.msgpack.encode(ended)


def decode_ended(told: bytes) -> list[Ended]:
    return _ended.decode(told)


def function_task(order: Order) -> Any:
    """The task that carries out `order` and others like it."""
    return _remote(carry_out).options(
        name=order.definition.title,
        num_returns="streaming",
        max_retries=0,
        runtime_env=_environment(order),
        **placement(order.resources, order.definition.on_node, accelerators),
    )


def same_worker(order: Order) -> tuple[object, ...]:
    """Orders with the same answer may share a task."""
    return (order.plan, msgspec.msgpack.encode(order.resources, order="deterministic"))


def last_begun(orders: Sequence[Order], folder: str, node_id: str) -> Any:
    """Which of a dead task's orders it had begun last, from 0; what it left on the node is removed."""
    return _on_node(node_id, _last_begun, _own_folder(orders[0], folder))


def interrupt(attempt: Attempt, folder: str, begun: Begun) -> Any:
    """Raise KeyboardInterrupt in a running function. Ray's own cancel would also throw away what it then returns."""
    return _on_node(begun.node_id, _interrupt, _stop_file(attempt, folder), begun.pid)


def _on_node(node_id: str, work: Callable[..., object], *arguments: object) -> Any:
    here = NodeAffinitySchedulingStrategy(node_id, soft=False)
    return _remote(work).options(num_cpus=0, max_retries=0, scheduling_strategy=here, name="raykqi").remote(*arguments)


@cache
def _remote(function: Callable[..., object]) -> Any:
    """Ray sends a function to the cluster once for each of these."""
    return ray.remote(function)


def _own_folder(first: Order, folder: str) -> Path:
    """Where a task works: to be found by who only knows its orders."""
    return Path(folder, f"task-{first.attempt.run}-{first.attempt.number}")


def _last_begun(own: Path) -> int:
    """Calls are made in turn, each in a folder that is named by its place."""
    calls = [int(path.name) for path in own.glob("*/*") if path.name.isdecimal()]
    remove_folder(own)
    return max(calls, default=-1)


def _interrupt(stop: Path, pid: int) -> None:
    stop.touch()
    try:
        os.kill(pid, POLITE)
    except ProcessLookupError:
        stop.unlink(missing_ok=True)


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    """The worker may be at another run by now: only a run that was asked to stop is interrupted."""
    for stop in _stops:
        if stop.exists():
            stop.unlink(missing_ok=True)
            raise KeyboardInterrupt


def _stop_file(attempt: Attempt, folder: str) -> Path:
    return Path(folder, f"stop-{attempt.run}-{attempt.number}")


def _environment(order: Order) -> dict[str, Any]:
    """The same for every run of a plan, so that a worker serves many; another code gets another worker."""
    definition = order.definition
    wanted = {key: value for key, value in definition.runtime_env.items() if key in ("pip", "uv")}
    code = definition.code.tree if definition.code else ""
    given = definition.runtime_env.get("env_vars")
    return wanted | {"env_vars": {**(given if isinstance(given, dict) else {}), "RAYKQI_CODE": code}}


def _needed(order: Order) -> tuple[str, ...]:
    """What user code may see besides: the plan's own, what Ray says of CPUs and GPUs, and the way to the storage."""
    given = order.definition.runtime_env.get("env_vars")
    storage = ("AWS_",) if order.workspace.startswith("s3:") else ()
    return ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", *storage, *(given if isinstance(given, dict) else ()))


@cache
def _here() -> Begun:
    return Begun(this_node(), ray.get_runtime_context().get_node_id(), os.getpid())
