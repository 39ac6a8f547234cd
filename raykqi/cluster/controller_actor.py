"""The controller of a workspace as a detached actor: it stays on the cluster, and Ray starts it again when it dies."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol

import ray
from ray.exceptions import RayActorError

from raykqi.errors import NotFound

__all__ = ["CONTROLLER", "ControllerActor", "Server", "find_controller", "start_controller", "stop_controller"]

CONTROLLER = "raykqi-controller"
NAMESPACE = "raykqi"
CLOSING = 60.0


class Server(Protocol):
    """What the actor keeps alive; whoever makes it begins at once, and takes over what an earlier one left."""

    def close(self) -> None: ...


class ControllerActor:
    """Ray makes it anew with the same arguments after a crash, and so the server with it."""

    def __init__(self, factory: str, arguments: Mapping[str, Any]) -> None:
        module, _, name = factory.partition(":")
        self._server: Server = getattr(importlib.import_module(module), name)(**arguments)

    def call(self, method: str, *positional: Any) -> Any:
        """What the server answers to a call from outside."""
        return getattr(self._server, method)(*positional)

    def close(self) -> None:
        self._server.close()


def start_controller(
    factory: str,
    arguments: Mapping[str, Any],
    *,
    name: str = CONTROLLER,
    environment: Mapping[str, str] | None = None,
    threads: int = 16,
) -> Any:
    """The controller of this cluster, made by `factory` ("package.module:name") unless there is one already.

    Comes back when it serves; what its making raises is raised here.
    """
    remote: Any = ray.remote(ControllerActor)
    actor = remote.options(
        name=name,
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        max_restarts=-1,
        max_task_retries=0,
        max_concurrency=threads,
        num_cpus=0,
        runtime_env={"env_vars": dict(environment)} if environment else None,
    ).remote(factory, dict(arguments))
    ray.get(actor.__ray_ready__.remote())
    return actor


def find_controller(*, name: str = CONTROLLER) -> Any:
    try:
        return ray.get_actor(name, namespace=NAMESPACE)
    except ValueError as error:
        raise NotFound(
            f"no controller named {name} runs on this cluster", hint="`raykqi up --address …` starts one."
        ) from error


def stop_controller(*, name: str = CONTROLLER) -> None:
    """Close it and let it not come back."""
    actor = find_controller(name=name)
    with suppress(RayActorError):
        ray.get(actor.close.remote(), timeout=CLOSING)
    ray.kill(actor, no_restart=True)
