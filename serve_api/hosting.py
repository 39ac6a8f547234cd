"""Brings the API up on the Ray that this process is connected to, and takes it away again."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from ray import serve
from ray.serve.context import _get_global_client
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
        if self._is_first:
            self._client.shutdown(ENDING)
        else:
            self._client.delete_apps([NAME], blocking=False)


def host_api(
    workspace: str,
    user: str,
    *,
    host: str,
    port: int,
    replicas: int,
    hosts: tuple[str, ...],
    has_plain_proxy: bool,
    certificate: tuple[str, str] | None = None,
    dashboard: str = "",
) -> Hosted:
    """The API alone on a machine. `certificate` are the files of a certificate and of its key."""
    arguments = ApiArguments(
        workspace,
        user,
        hosts=hosts,
        is_cluster=has_plain_proxy,  # then replicas have no address of their own that others could reach
        is_secure=certificate is not None,
        dashboard=dashboard,
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
    deadline = time.monotonic() + STARTING
    pause = threading.Event()
    while time.monotonic() < deadline:
        found = serve.status().applications.get(NAME)
        if found and found.status == "RUNNING":
            client.wait_for_proxies_serving(wait_for_applications_running=True)
            return
        if found and found.status in ("DEPLOY_FAILED", "UNHEALTHY"):
            raise ServerUnavailable(f"the API does not come up: {found.message}", hint="--no-api goes on without it.")
        pause.wait(LOOK)
    raise ServerUnavailable(f"the API did not come up within {STARTING:g} s", hint="--no-api goes on without it.")
