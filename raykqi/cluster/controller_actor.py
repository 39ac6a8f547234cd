"""The controller of a workspace as a detached actor: it stays on the cluster, and Ray starts it again when it dies."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol

import ray
from ray.exceptions import GetTimeoutError, RayActorError

from raykqi.errors import NotFound, RaykqiError

__all__ = ["CONTROLLER", "ControllerActor", "Server", "ask_controller", "find_controller", "start_controller"]
__all__ += ["stop_controller"]

CONTROLLER = "raykqi-controller"
NAMESPACE = "raykqi"
CLOSING = 60.0
THREADS = 64  # calls at a time: each batch of a follower is one, until it is committed
WAITING = 256  # replicas of endpoints at a time, each of which waits for news


class Server(Protocol):
    """What the actor keeps alive; whoever makes it begins at once, and takes over what an earlier one left."""

    def close(self) -> None: ...


class ControllerActor:
    """Ray makes it anew with the same arguments after a crash, and so the server with it."""

    def __init__(self, factory: str, arguments: Mapping[str, Any]) -> None:
        module, _, name = factory.partition(":")
        self._server: Server = getattr(importlib.import_module(module), name)(**arguments)

    def pid(self) -> int:
        """Of this process, so that it is found among those of its node."""
        return os.getpid()

    def call(self, method: str, *positional: Any) -> Any:
        """What the server answers to a call from outside."""
        return getattr(self._server, method)(*positional)

    @ray.method(concurrency_group="waiting")
    def wait(self, method: str, *positional: Any) -> Any:
        """The same for calls that are answered when there is something to say, so that they keep no others up."""
        return getattr(self._server, method)(*positional)


def start_controller(
    factory: str,
    arguments: Mapping[str, Any],
    *,
    name: str = CONTROLLER,
    environment: Mapping[str, str] | None = None,
    threads: int = THREADS,
    cpus: float = 0.0,
    wait: bool = True,
) -> Any:
    """The controller of this cluster, made by `factory` ("package.module:name") unless there is one already.

    Comes back when it serves, unless it shall not `wait`; says why it could not be made.
    """
    remote: Any = ray.remote
    actor = (
        remote(concurrency_groups={"waiting": WAITING})(ControllerActor)
        .options(
            name=name,
            namespace=NAMESPACE,
            lifetime="detached",
            get_if_exists=True,
            max_restarts=-1,
            max_task_retries=0,
            max_concurrency=threads,
            num_cpus=cpus,
            runtime_env={"env_vars": dict(environment)} if environment else None,
        )
        .remote(factory, dict(arguments))
    )
    if wait:
        try:
            ray.get(actor.__ray_ready__.remote())
        except RayActorError as error:
            last = next((line for line in reversed(str(error).splitlines()) if line.strip()), "")
            raise RaykqiError(f"{name} could not begin: {last.strip()}", hint="The logs of Ray say more.") from error
    return actor


def ask_controller(actor: Any, method: str, *, within: float) -> Any:
    """What its server answers; None when it does not, in that time."""
    with suppress(RayActorError, GetTimeoutError):
        return ray.get(actor.call.remote(method), timeout=within)
    return None


def find_controller(*, name: str = CONTROLLER) -> Any:
    try:
        return ray.get_actor(name, namespace=NAMESPACE)
    except ValueError as error:
        raise NotFound(
            f"no controller named {name} runs on this cluster", hint="`raykqi up --address …` starts one."
        ) from error


def stop_controller(*arguments: object, name: str = CONTROLLER, within: float = CLOSING) -> None:
    """Close it, for which its server is given the arguments, and let it not come back."""
    actor = find_controller(name=name)
    with suppress(RayActorError, GetTimeoutError):
        ray.get(actor.call.remote("close", *arguments), timeout=within)
    ray.kill(actor, no_restart=True)
