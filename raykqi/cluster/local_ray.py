"""A Ray of our own on this machine, or one that is there already."""

from __future__ import annotations

import logging
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raykqi.cluster.held_folder import held_folder
from raykqi.errors import Conflict, InvalidInput
from raykqi.settings import environment_with

__all__ = ["RayHandle", "start_or_join"]

LONGEST_FOLDER = 40  # Ray puts sockets below it, whose paths may have 107 bytes
LONGEST_PARENT = 12  # of a folder that we make, where HAProxy puts its own, whose paths may have 97
NAMESPACE = "raykqi"
TOKEN = "token"
# Never the subreaper (RAY_kill_child_processes_on_worker_exit_with_raylet_subreaper): with it every command
# that a run starts seems to end with 0.
FLAGS = {
    "RAY_process_group_cleanup_enabled": "true",
    "RAY_worker_niceness": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    "RAY_idle_worker_killing_time_threshold_ms": "60000",
    "RAY_USAGE_STATS_ENABLED": "0",
}


@dataclass
class RayHandle:
    """A connection to Ray; `dashboard` is its URL, or "", and asks for `token`. Closing it ends a Ray of our own."""

    address: str
    dashboard: str
    is_own: bool
    token: str = field(repr=False)
    _undo: ExitStack = field(repr=False)

    def close(self) -> None:
        self._undo.close()

    def __enter__(self) -> RayHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def start_or_join(
    *,
    address: str | None = None,
    cpus: int | None = None,
    gpus: int | None = None,
    memory: int | None = None,
    resources: Mapping[str, float] | None = None,
    labels: Mapping[str, str] | None = None,
    dashboard: bool = False,
    temp_dir: Path | None = None,
    flags: Callable[[Path], AbstractContextManager[Mapping[str, str]]] | None = None,
) -> RayHandle:
    """Join the cluster at `address`, or start one with what is given, or with all that this machine has.

    `flags` answers more variables for the environment of one of our own, whose folder it is given; it is left when
    that Ray has ended.
    """
    own = {"cpus": cpus, "gpus": gpus, "memory": memory, "resources": resources, "labels": labels}
    if address and any(value is not None for value in own.values()):
        named = ", ".join(name for name, value in own.items() if value is not None)
        raise InvalidInput(
            f"{named} cannot be given for the Ray at {address}", hint="Its nodes were given theirs when they started."
        )
    with ExitStack() as undo:
        if address:
            token = ""
            options: dict[str, Any] = {"address": address}
        else:
            folder = undo.enter_context(_folder(temp_dir))
            token = _token(folder)
            only_with_it = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(folder / TOKEN)} if token else {}
            more = undo.enter_context(flags(folder)) if flags else {}
            undo.enter_context(environment_with({**FLAGS, **only_with_it, **more}))
            options = {
                "address": "local",
                "_temp_dir": str(folder),
                "include_dashboard": dashboard,
                "num_cpus": cpus,
                "num_gpus": gpus,
                "_memory": memory,
                "resources": resources and dict(resources),
                "labels": labels and dict(labels),
            }
        context = _init(options, undo)
        return RayHandle(
            address=str(context.address_info["gcs_address"]),
            dashboard=f"http://{context.dashboard_url}" if context.dashboard_url else "",
            is_own=not address,
            token=token,
            _undo=undo.pop_all(),
        )


def _init(options: dict[str, Any], undo: ExitStack) -> Any:
    import ray  # Ray reads its environment when it is imported, so that has to be set before

    if ray.is_initialized():
        raise Conflict("this process is connected to a Ray already", hint="Disconnect it with ray.shutdown().")
    try:
        if options["address"] != "local":
            from raykqi.cluster.access import check_access

            check_access(options["address"])
        context = ray.init(
            namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR, configure_logging=False, **options
        )
    except ConnectionError as error:
        raise InvalidInput(
            f"there is no Ray at {options['address']}: {error}",
            hint="Look at its address with `ray status`, or leave out --address to start one here.",
        ) from error
    undo.callback(ray.shutdown)
    return context


@contextmanager
def _folder(wanted: Path | None) -> Iterator[Path]:
    """Ours alone, because the token lies in it; a folder that somebody named stays, with Ray's logs."""
    if wanted is not None:
        if len(str(wanted)) > LONGEST_FOLDER:
            raise InvalidInput(
                f"the path {wanted} is too long for the sockets of Ray",
                hint=f"Name one of at most {LONGEST_FOLDER} characters.",
            )
        wanted.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield wanted
        return
    parent = tempfile.gettempdir()
    with held_folder(Path(parent if len(parent) <= LONGEST_PARENT else "/tmp")) as made:
        yield made


def _token(folder: Path) -> str:
    """Whoever reaches a Ray can run anything as its user, so only the holder of this token may.

    A process that has imported Ray keeps what it was imported with.
    """
    if "ray" in sys.modules:
        return ""
    token = secrets.token_hex(32)
    file = folder / TOKEN
    file.touch(mode=0o600)
    file.write_text(token)
    return token
