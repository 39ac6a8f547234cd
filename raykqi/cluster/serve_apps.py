"""Endpoints as applications of the Ray Serve of this cluster: one each, with as many replicas as it asks for.

What a replica serves is no affair of Serve's: an application only changes when its shape does, and
then in place as far as Serve can.
"""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from blake3 import blake3
from ray import serve
from ray.exceptions import RayError
from ray.serve.api import RunTarget
from ray.serve.context import _get_global_client
from ray.serve.exceptions import RayServeException

from raykqi.controller.applications import Shape, State
from raykqi.errors import ServerUnavailable
from raykqi.version import VERSION

__all__ = ["PATH", "ServeApps", "application_name", "is_foreign", "running_replicas", "what_to_do"]

log = logging.getLogger(__name__)

DEPLOYMENT = "serve_api.inference.deployment"  # a room above this one, found by its name
PREFIX = "raykqi-endpoint-"
PATH = "/endpoints"
SPARE = 64  # requests beside those that models are asked: health, metadata, refusals
CLOSING = 30.0  # seconds for requests under way when a replica goes
GONE = ("DELETING", "NOT_STARTED")
FAILED = ("DEPLOY_FAILED", "UNHEALTHY")
_WANTED = re.compile(r"to be scheduled.*Resources required for each replica: (\{[^}]*\})", re.DOTALL)
_FREE = re.compile(r",? total resources available: \{[^}]*\}")


class ServeApps:
    """`arguments` are given to every replica, beside what is its endpoint's own.

    A cluster may serve several workspaces: the name of the deployment says whose an application is.
    """

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self._arguments = dict(arguments)
        self._shown: dict[str, Shape] = {}
        self._own = f"Endpoint-{blake3(str(arguments['controller']).encode()).hexdigest()[:8]}"

    def show(self, shapes: Sequence[Shape]) -> None:
        try:
            there = {name: set(found.deployments) for name, found in self._there().items()}
            wanted = {shape.name: shape for shape in shapes}
            gone, changed = what_to_do(there, wanted, self._shown, self._own)
            _delete(gone)
            if changed:
                serve.run_many(
                    [self._target(shape) for shape in changed],
                    wait_for_ingress_deployment_creation=False,
                    wait_for_applications_running=False,
                )
        except (RayError, RayServeException, ConnectionError) as error:
            raise ServerUnavailable(f"Ray Serve does not answer: {type(error).__name__}: {error}") from error
        self._shown = wanted

    def states(self) -> Mapping[str, State]:
        try:
            found = _applications()
        except (RayError, RayServeException, ConnectionError) as error:
            raise ServerUnavailable(f"Ray Serve does not answer: {type(error).__name__}") from error
        return {
            name: State(0, "an endpoint of another workspace has this name on this cluster")
            if is_foreign(set(each.deployments), self._own)
            else _state(each)
            for name, each in found.items()
        }

    def close(self) -> None:
        """The applications go on without a controller."""

    def _there(self) -> dict[str, Any]:
        if _get_global_client(raise_if_no_controller_running=False) is None:
            self._shown = {}
            raise ServerUnavailable("Ray Serve is not up yet", hint="It is asked again.")
        return _applications()

    def _target(self, shape: Shape) -> RunTarget:
        deployment: Any = importlib.import_module(DEPLOYMENT).Endpoint.options(name=self._own, **_options(shape))
        # What makes Serve take new replicas; anything else is changed in those that are there.
        fixed = msgspec.json.encode((VERSION, shape.endpoint, shape.name, shape.resources, self._arguments))
        deployment._version = blake3(fixed).hexdigest()[:16]
        own = {"endpoint": shape.endpoint, "name": shape.name, "project": shape.project}
        return RunTarget(
            deployment.bind(self._arguments | own),
            name=application_name(shape.name),
            route_prefix=f"{PATH}/{shape.name}",
        )


def application_name(endpoint: str) -> str:
    return f"{PREFIX}{endpoint}"


def is_foreign(deployments: Collection[str], own: str) -> bool:
    """Whether an application with these deployments is another workspace's; one without any is nobody's yet."""
    return bool(deployments) and own not in deployments


def what_to_do(
    there: Mapping[str, Collection[str]], wanted: Mapping[str, Shape], shown: Mapping[str, Shape], own: str
) -> tuple[list[str], list[Shape]]:
    """The endpoints whose applications go, and those that are made or changed. `there` has their deployments."""
    gone = [name for name, deployments in there.items() if name not in wanted and own in deployments]
    changed = [
        shape
        for name, shape in wanted.items()
        if not is_foreign(there.get(name, ()), own) and (name not in there or shown.get(name) != shape)
    ]
    return gone, changed


def running_replicas() -> dict[str, int]:
    """How many each endpoint of this cluster has, of all workspaces."""
    if _get_global_client(raise_if_no_controller_running=False) is None:
        raise ServerUnavailable("Ray Serve is not up", hint="It is asked again.")
    return {name: _running(found) for name, found in _applications().items()}


def _applications() -> dict[str, Any]:
    """By the names of endpoints, of all workspaces."""
    return {
        name.removeprefix(PREFIX): found
        for name, found in serve.status().applications.items()
        if name.startswith(PREFIX) and found.status not in GONE
    }


def _options(shape: Shape) -> dict[str, Any]:
    scale, resources = shape.scale, shape.resources
    options: dict[str, Any] = {
        "max_ongoing_requests": shape.queue + SPARE,
        "max_surge_percent": 100,  # a new replica answers before the old one goes
        "graceful_shutdown_timeout_s": CLOSING,
        "health_check_period_s": 5.0,
        "health_check_timeout_s": 30.0,
        "ray_actor_options": {
            "num_cpus": resources.cpu,
            "num_gpus": resources.gpu,
            **({"memory": resources.memory} if resources.memory else {}),
        },
    }
    if scale.least == scale.most:
        return options | {"num_replicas": scale.most}
    return options | {
        "num_replicas": None,
        "autoscaling_config": {
            "min_replicas": scale.least,
            "max_replicas": scale.most,
            "target_ongoing_requests": scale.target,
            "upscale_delay_s": 1.0,
            "downscale_delay_s": max(5.0, scale.idle / 2),
            "downscale_to_zero_delay_s": scale.idle,
            "look_back_period_s": 2.0,
            "metrics_interval_s": 0.5,
        },
    }


def _state(application: Any) -> State:
    deployments = application.deployments.values()
    said = [each.message for each in deployments if each.message] or [application.message]
    has_trouble = application.status in FAILED or any(
        each.status in ("UNHEALTHY", "DEPLOY_FAILED") for each in deployments
    )
    is_waiting = any("taken more than" in message for message in said)
    return State(_running(application), _short(said[0]) if has_trouble or is_waiting else "")


def _running(application: Any) -> int:
    deployments = application.deployments.values()
    return sum(count for each in deployments for state, count in each.replica_states.items() if str(state) == "RUNNING")


def _short(message: str) -> str:
    """Serve tells whole tracebacks; their last line says what it was. What is free changes all the time: no news."""
    if wanted := _WANTED.search(message):
        return (
            f"taken more than 30s to be scheduled: no node has {wanted[1]} free for one more replica now; "
            "ask for less (--cpu 0 reserves none), scale another endpoint down, or add a node"
        )
    message = _FREE.sub("", message)
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return (lines[0] if len(lines) < 2 else f"{lines[0]} {lines[-1]}")[:500]


def _delete(names: Sequence[str]) -> None:
    if names:
        client: Any = _get_global_client()
        client.delete_apps([application_name(name) for name in names], blocking=False)
