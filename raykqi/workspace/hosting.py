"""A workspace with its HTTP API: the controller and the API are processes of a Ray, and this one only watches them.

The API itself is a room above this one, found by its name.
"""

from __future__ import annotations

import importlib
import ipaddress
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raykqi.domain.hooks import Hooks
from raykqi.domain.resources import Resources
from raykqi.errors import InvalidInput, NotFound, ServerUnavailable
from raykqi.opening import Parts
from raykqi.server import take_right
from raykqi.settings import Settings
from raykqi.workspace.api_port import held_port
from raykqi.workspace.hosted import controller_arguments, controller_name, make_controller
from raykqi.workspace.serving import check_reachable

__all__ = ["PORT", "ApiPlace", "Hosting", "open_hosting"]

API = "serve_api.hosting"
PORT = 8000
ANSWERING = 15.0  # seconds for the controller to say how it is
AWAY = 120.0  # seconds for which it may be away: Ray makes it anew
ENDING = 20.0
LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class ApiPlace:
    """Where the API listens. Without a `port` it is 8000, or another one if that is taken; 0 is any that is free.

    `certificate` and `key` are files; without them, others than this machine are let in only if it `is_insecure`.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    certificate: Path | None = None
    key: Path | None = None
    is_insecure: bool = False
    replicas: int = 1

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise InvalidInput("a certificate needs its key, and a key its certificate", hint="Give both files.")
        for file in (self.certificate, self.key):
            if file is not None and not file.is_file():
                raise InvalidInput(f"there is no file {file}", hint="Name files in PEM format.")
        if self.port is not None and not 0 <= self.port < 65536:
            raise InvalidInput(f"{self.port} is no port", hint="Give one from 0 (any that is free) to 65535.")
        if not (self.is_local or self.certificate or self.is_insecure):
            raise InvalidInput(
                f"tokens and data would go over the network unencrypted at {self.host}",
                hint="Give --tls-cert and --tls-key; --insecure accepts it, as behind a proxy that encrypts.",
            )

    @property
    def is_local(self) -> bool:
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    @property
    def is_any(self) -> bool:
        return self.host in ("0.0.0.0", "::")

    @property
    def names(self) -> tuple[str, ...]:
        """Under which the API may be asked for."""
        if self.is_any:
            return ("*",)
        return tuple(dict.fromkeys((*LOCAL_NAMES, self.host.lower())))

    def url(self, port: int) -> str:
        host = socket.gethostname() if self.is_any else self.host
        shown = f"[{host}]" if ":" in host else host
        return f"{'https' if self.certificate else 'http'}://{shown}:{port}"

    def url_for_runs(self, port: int, *, is_own_ray: bool) -> str:
        """Nothing, when nodes of a Ray that was joined cannot reach what listens on this machine alone."""
        if is_own_ray and self.is_any and not self.certificate:
            return f"http://127.0.0.1:{port}"
        return self.url(port) if is_own_ray or not self.is_local else ""


@dataclass
class Hosting:
    """`url` is that of the API; `dashboard` that of Ray's own, or "", which asks for `token`."""

    url: str
    address: str
    dashboard: str
    token: str = field(repr=False)
    is_own: bool
    _controller: Any = field(repr=False)
    _seen: float = field(default_factory=time.monotonic)

    @property
    def running(self) -> int:
        """How many attempts are under way."""
        return self._ask(ANSWERING) or 0

    def check(self) -> None:
        """Raises when plans are no longer run, and will not be again by themselves."""
        if self._ask(ANSWERING) is not None:
            self._seen = time.monotonic()
        elif time.monotonic() - self._seen > AWAY:
            raise ServerUnavailable(
                f"what runs plans has not answered for {AWAY:g} s", hint="Look at the logs of Ray, and start it again."
            )

    def _ask(self, within: float) -> int | None:
        from raykqi.cluster.controller_actor import ask_controller

        answer: int | None = ask_controller(self._controller, "running", within=within)
        return answer


@contextmanager
def open_hosting(
    parts: Parts,
    settings: Settings,
    place: ApiPlace,
    *,
    address: str | None = None,
    cpus: int | None = None,
    gpus: int | None = None,
    memory: int | None = None,
    resources: Mapping[str, float] | None = None,
    labels: Mapping[str, str] | None = None,
    dashboard: bool = False,
    limit: Resources | None = None,
    hooks: Hooks | None = None,
) -> Iterator[Hosting]:
    """At the end, runs go on upon a Ray that was joined; those upon a Ray of our own end with it and wait again."""
    check_reachable(parts.store.url)
    take_right(parts.store, settings, 0).close()  # before a Ray is started in vain
    from raykqi.cluster.local_ray import start_or_join
    from raykqi.cluster.serve_flags import serve_flags

    is_fast = place.certificate is None  # the quick proxy does not encrypt
    with ExitStack() as undo:
        port = undo.enter_context(held_port(place.host, place.port, usual=PORT))
        ray = undo.enter_context(
            start_or_join(
                address=address,
                cpus=cpus,
                gpus=gpus,
                memory=memory,
                resources=resources,
                labels=labels,
                dashboard=dashboard,
                flags=serve_flags if is_fast else None,
            )
        )
        name = controller_name(parts.description)
        undo.callback(_end_controller, name, ray.is_own)
        runs_url = place.url_for_runs(port, is_own_ray=ray.is_own)
        arguments = controller_arguments(parts.store.url, settings.user, limit, hooks, runs_url)
        controller = make_controller(name, arguments)
        api = importlib.import_module(API).host_api(
            parts.store.url,
            settings.user,
            host=place.host,
            port=port,
            replicas=place.replicas,
            hosts=place.names,
            is_cluster=not (ray.is_own and is_fast),
            certificate=(str(place.certificate), str(place.key)) if place.certificate else None,
            dashboard=ray.dashboard,
            runs_url=runs_url,
            inside_url=runs_url or place.url(port),
        )
        if not ray.is_own:  # one of our own takes everything with it
            undo.callback(api.close)
        yield Hosting(place.url(port), ray.address, ray.dashboard, ray.token, ray.is_own, controller)


def _end_controller(name: str, is_own_ray: bool) -> None:
    from raykqi.cluster.controller_actor import stop_controller

    with suppress(NotFound):
        stop_controller(not is_own_ray, name=name, within=ENDING)
