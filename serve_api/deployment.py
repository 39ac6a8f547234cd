"""The API on Ray Serve: its config as a value, the deployment that the config names, and bringing it up from here.

The same config starts everything on a laptop (`raykqi up`) and on a cluster (`cluster.yaml`): each replica opens
the workspace for itself, follows the one controller, and makes that controller where there is none yet.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from typing import Any

import msgspec
from ray import serve
from starlette.types import ASGIApp

from raykqi.errors import InvalidInput
from raykqi.settings import ApiSettings, Settings
from raykqi.workspace.follower import follow
from raykqi.workspace.hosted import controller_arguments
from serve_api.access_log import log_to
from serve_api.options import ApiOptions, OidcOptions

__all__ = ["NAME", "Api", "ApiArguments", "build", "serve_config"]

NAME = "raykqi"
# Streams of logs and events count as requests for as long as somebody listens.
MOST_AT_ONCE = 1_000
CLOSING = 20.0  # seconds for requests under way when a replica goes


class ApiArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What replicas are told. `user` is who the controller acts for, `hooks` a file on the controller's machine.

    `controller_cpus` are reserved for the controller, so that it comes to a node that has some.
    """

    workspace: str
    user: str = ""
    hooks: str = ""
    hosts: tuple[str, ...] = ApiOptions.hosts
    origins: tuple[str, ...] = ()
    is_cluster: bool = False
    is_secure: bool = False
    public_url: str = ""
    runs_url: str = ""  # as runs reach the API; without it they are given no token
    inside_url: str = ""  # as the API reaches itself, for what it passes on to endpoints; else as runs do
    dashboard: str = ""
    controller_cpus: float = 0.0
    oidc: OidcOptions | None = None


def serve_config(
    arguments: ApiArguments,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    replicas: int = 1,
    most_replicas: int = 0,
    cpus: float = 0.0,
    every_node: bool = False,
) -> dict[str, Any]:
    """The config of Ray Serve. With `most_replicas` there are as many as requests ask for, else `replicas`.

    `cpus` are those that Ray reserves for each replica: none on a laptop, whose runs shall have them.
    """
    count: dict[str, Any] = {"num_replicas": replicas}
    if most_replicas:
        wanted = {"min_replicas": replicas, "max_replicas": most_replicas, "target_ongoing_requests": 32}
        count = {"autoscaling_config": wanted}
    return {
        "proxy_location": "EveryNode" if every_node else "HeadOnly",
        "http_options": {"host": host, "port": port},
        "applications": [
            {
                "name": NAME,
                "route_prefix": "/",
                "import_path": f"{__name__}:{build.__name__}",
                "args": msgspec.to_builtins(arguments),
                "deployments": [
                    {
                        "name": "Api",
                        **count,
                        "max_ongoing_requests": MOST_AT_ONCE,
                        # The new replica answers before the old one goes: no request is lost by an upgrade.
                        "max_surge_percent": 100,
                        "graceful_shutdown_timeout_s": CLOSING,
                        "health_check_period_s": 10.0,
                        "health_check_timeout_s": 30.0,
                        "ray_actor_options": {"num_cpus": cpus},
                    }
                ],
            }
        ],
    }


@serve.deployment(name="Api")
@serve.ingress()  # the app is made by each replica for itself
class Api:
    def __init__(self, arguments: ApiArguments) -> None:
        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        log_to(sys.stderr)  # which Ray keeps in a file of this process
        settings = Settings.from_env()
        user = arguments.user or settings.user
        self._arguments = arguments
        controller = controller_arguments(
            arguments.workspace, user, hooks=arguments.hooks or None, api_url=arguments.runs_url
        )
        self._workspace = follow(
            arguments.workspace, replace(settings, user=user), controller, cpus=arguments.controller_cpus
        )

    def __serve_build_asgi_app__(self) -> ASGIApp:
        from serve_api.app import create_app

        told = self._arguments
        options = ApiOptions(
            hosts=told.hosts,
            origins=told.origins,
            is_cluster=told.is_cluster,
            is_secure=told.is_secure,
            inside_url=told.inside_url or told.runs_url,
            public_url=told.public_url,
            dashboard=told.dashboard,
            oidc=told.oidc and _with_secret(told.oidc, ApiSettings.from_env()),
        )
        return create_app(self._workspace, options)

    def check_health(self) -> None:
        """A replica whose index cannot be read is made anew."""
        self._workspace.refresh()


def _with_secret(oidc: OidcOptions, settings: ApiSettings) -> OidcOptions:
    return oidc if oidc.client_secret else replace(oidc, client_secret=settings.oidc_secret)


def build(arguments: dict[str, Any]) -> serve.Application:
    """What the config names."""
    try:
        told = msgspec.convert(arguments, ApiArguments)
    except msgspec.ValidationError as error:
        raise InvalidInput(
            f"the args of the application {NAME} are not right: {error}", hint="See cluster.yaml."
        ) from None
    return Api.bind(told)  # type: ignore[attr-defined, no-any-return]
