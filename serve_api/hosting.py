"""Brings the API up on the Ray that this process is connected to, and takes it away again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import ray
from ray import serve
from ray.exceptions import GetTimeoutError, RayActorError
from ray.serve._private.constants import SERVE_CONTROLLER_NAME, SERVE_NAMESPACE
from ray.serve.context import _get_global_client, _set_global_client
from ray.serve.schema import ServeDeploySchema

from raykqi.errors import Conflict, ServerUnavailable
from serve_api.deployment import NAME, ApiArguments, serve_config

__all__ = ["Hosted", "deploy", "host_api"]

STARTING = 180.0
LOOK = 0.05
ENDING = 10.0


class Hosted:
    def __init__(self, client: Any, *, is_first: bool) -> None:
        self._client, self._is_first = client, is_first

    def close(self) -> None:
        """Serve goes too, if it was brought up for this."""
        if not self._is_first:
            self._client.delete_apps([NAME], blocking=False)
            return
        with suppress(RayActorError, GetTimeoutError):
            # Serve's own `shutdown` waits in the actor for its end, of which Ray then complains on this terminal.
            ray.get(self._client._controller.graceful_shutdown.remote(wait=False), timeout=ENDING)
            _wait_until(_is_gone, ENDING)


def _is_gone() -> bool:
    try:
        ray.get_actor(SERVE_CONTROLLER_NAME, namespace=SERVE_NAMESPACE)
    except ValueError:
        _set_global_client(None)  # type: ignore[no-untyped-call]
        return True
    return False


def host_api(
    workspace: str,
    user: str,
    *,
    host: str,
    port: int,
    replicas: int,
    hosts: tuple[str, ...],
    is_cluster: bool,
    certificate: tuple[str, str] | None = None,
    dashboard: str = "",
    runs_url: str = "",
    inside_url: str = "",
) -> Hosted:
    """`certificate` are the files of a certificate and of its key.

    Unless it `is_cluster`, replicas refuse whoever does not ask from this machine, as its quick proxy does; the
    plain one hands on the address of who asked it, and replicas have none of their own.
    """
    arguments = ApiArguments(
        workspace,
        user,
        hosts=hosts,
        is_cluster=is_cluster,
        is_secure=certificate is not None,
        dashboard=dashboard,
        runs_url=runs_url,
        inside_url=inside_url,
    )
    return deploy(serve_config(arguments, host=host, port=port, replicas=replicas), certificate)


def deploy(config: dict[str, Any], certificate: tuple[str, str] | None = None) -> Hosted:
    """Bring up what the config says, beside what Ray Serve runs already; comes back when it answers."""
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    is_first = _get_global_client(raise_if_no_controller_running=False) is None
    options: dict[str, Any] = dict(config["http_options"])
    if certificate:
        options |= {"ssl_certfile": certificate[0], "ssl_keyfile": certificate[1]}
    serve.start(proxy_location=config["proxy_location"], http_options=options)
    client = _get_global_client()
    assert client is not None
    if not is_first and (client.http_config.host, client.http_config.port) != (options["host"], options["port"]):
        port = client.http_config.port
        there = f"{client.http_config.host}:{port}"
        raise Conflict(f"Ray Serve on this Ray is at {there} already", hint=f"Ask for that place: --port {port}.")
    hosted = Hosted(client, is_first=is_first)
    try:
        client.deploy_apps(ServeDeploySchema.model_validate(config))
        _wait(client)
    except BaseException:
        hosted.close()
        raise
    return hosted


def _wait(client: Any) -> None:
    def is_up() -> bool:
        found = serve.status().applications.get(NAME)
        if found and found.status in ("DEPLOY_FAILED", "UNHEALTHY"):
            raise ServerUnavailable(f"the API does not come up: {found.message}", hint="--no-api goes on without it.")
        return found is not None and found.status == "RUNNING"

    if not _wait_until(is_up, STARTING):
        raise ServerUnavailable(f"the API did not come up within {STARTING:g} s", hint="--no-api goes on without it.")
    client.wait_for_proxies_serving(wait_for_applications_running=True)


def _wait_until(happened: Callable[[], bool], within: float) -> bool:
    deadline = time.monotonic() + within
    pause = threading.Event()
    while not happened():
        if time.monotonic() >= deadline:
            return False
        pause.wait(LOOK)
    return True
