"""The application of one endpoint on Ray Serve: each replica opens the storage for reading models and follows the
controller. It has no index, so that it begins quickly and a hundred of them cost the workspace nothing.
"""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import replace
from typing import Any

import msgspec
import ray
from ray import serve
from starlette.types import ASGIApp

from raykqi.errors import InvalidInput
from raykqi.serving.process import ModelProcess
from raykqi.settings import Settings
from raykqi.storage.filesystem import open_store
from serve_api.access_log import log_to
from serve_api.inference.actor import ActorController
from serve_api.inference.front import Front
from serve_api.inference.replica import Options, Replica

__all__ = ["Endpoint", "EndpointArguments"]


class EndpointArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What replicas are told: the workspace's URL, the endpoint by id and name, the controller's actor.

    `user` is who records samples, and jobs of those who need no token. `project` is for those who look.
    """

    workspace: str
    endpoint: str
    name: str
    controller: str
    project: str = ""
    user: str = ""


@serve.deployment(name="Endpoint")
@serve.ingress()  # the app is made by each replica for itself
class Endpoint:
    def __init__(self, given: dict[str, Any]) -> None:
        arguments = _told(given)
        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        log_to(sys.stderr)  # which Ray keeps in a file of this process
        settings = Settings.from_env()
        user = arguments.user or settings.user
        context = ray.get_runtime_context()
        options = Options(
            endpoint=arguments.endpoint,
            name=arguments.name,
            replica=f"{context.get_actor_id() or 'replica'}-{os.getpid()}",
            by=user,
            node=context.get_node_id(),
        )
        store = open_store(arguments.workspace, settings)
        self._replica = Replica(
            options, store, replace(settings, user=user), ActorController(arguments.controller), ModelProcess.start
        )

    def __serve_build_asgi_app__(self) -> ASGIApp:
        return Front(self._replica, tells_id=False)  # Serve does

    def check_health(self) -> None:
        """A replica that follows the controller no more is made anew; a model that failed is none of its faults."""
        self._replica.check()


def _told(arguments: dict[str, Any]) -> EndpointArguments:
    try:
        return msgspec.convert(arguments, EndpointArguments)
    except msgspec.ValidationError as error:
        raise InvalidInput(
            f"the args of the application of an endpoint are not right: {error}", hint="The controller writes them."
        ) from None
