"""All settings, in one frozen value. The only place that reads environment variables."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from raykqi.errors import InvalidInput

__all__ = ["ServerSettings", "Settings", "environment_replaced", "environment_with", "forget_environment"]
__all__ += ["DEFAULT_FOLDER", "ApiSettings", "environment_of_models", "nearest_workspace"]

MIB = 1024 * 1024
DEFAULT_FOLDER = ".raykqi"
# What a node hands on to the commands that run on it, or to the tools that make their environments.
OF_NODES: tuple[str, ...] = ("HOME", "PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "SSL_CERT_FILE")
OF_NODES += (
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "XDG_CONFIG_HOME",
)
OF_TOOLS = ("PIP_", "UV_")
OF_MODELS = (*OF_NODES, "PYTHONPATH", "TMPDIR", "CUDA_VISIBLE_DEVICES", "CUDA_HOME", "NVIDIA_VISIBLE_DEVICES")


@dataclass(frozen=True)
class Settings:
    """How this process behaves; nothing here changes what a workspace means."""

    workspace: str | None = None  # RAYKQI_WORKSPACE
    project: str = "default"  # RAYKQI_PROJECT: to which everything belongs that is asked for or made
    user: str = "unknown"  # RAYKQI_USER, else the login name: written into events as `by`
    cache_dir: Path = Path(".raykqi-cache")  # RAYKQI_CACHE_DIR: caches, and indexes of remote workspaces
    cache_bytes: int = 20 * 1024 * MIB  # RAYKQI_CACHE_BYTES: upper limit of the node cache
    transfer_threads: int = 16  # RAYKQI_TRANSFER_THREADS: requests in flight at once
    storage_timeout: float = 60.0  # RAYKQI_STORAGE_TIMEOUT: seconds of retries before giving up
    lock_timeout: float = 30.0  # RAYKQI_LOCK_TIMEOUT: seconds to wait for another process
    s3_endpoint: str | None = None  # RAYKQI_S3_ENDPOINT, else AWS_ENDPOINT_URL
    node_env: tuple[tuple[str, str], ...] = field(default=(), compare=False)  # PATH, LANG, PIP_… of this node

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        env = os.environ if env is None else env
        home = Path(env.get("HOME", "/"))
        cache_root = Path(env.get("XDG_CACHE_HOME") or home / ".cache")
        return cls(
            workspace=env.get("RAYKQI_WORKSPACE") or None,
            project=_storable(env.get("RAYKQI_PROJECT") or cls.project),
            user=_storable(env.get("RAYKQI_USER") or env.get("LOGNAME") or env.get("USER") or _login_name()),
            cache_dir=Path(env.get("RAYKQI_CACHE_DIR") or cache_root / "raykqi"),
            cache_bytes=_number(env, "RAYKQI_CACHE_BYTES", cls.cache_bytes, minimum=0),
            transfer_threads=_number(env, "RAYKQI_TRANSFER_THREADS", cls.transfer_threads, minimum=1),
            storage_timeout=float(_number(env, "RAYKQI_STORAGE_TIMEOUT", int(cls.storage_timeout), minimum=1)),
            lock_timeout=float(_number(env, "RAYKQI_LOCK_TIMEOUT", int(cls.lock_timeout), minimum=0)),
            s3_endpoint=env.get("RAYKQI_S3_ENDPOINT") or env.get("AWS_ENDPOINT_URL") or None,
            node_env=tuple((name, env[name]) for name in sorted(env) if name in OF_NODES or name.startswith(OF_TOOLS)),
        )


@dataclass(frozen=True)
class ServerSettings:
    """Which server this process talks with, and as whom. Apart from `Settings`, which nodes are handed."""

    url: str | None = None  # RAYKQI_URL
    token: str = field(default="", repr=False)  # RAYKQI_TOKEN
    project: str = ""  # RAYKQI_PROJECT
    profile: str = ""  # RAYKQI_PROFILE: one of those that `raykqi login` keeps
    timeout: float = 60.0  # RAYKQI_TIMEOUT: seconds in which a server that is away may come back, or must answer
    profiles: Path = Path("profiles.json")  # where `raykqi login` keeps them
    records: Path = Path("servers")  # what the servers of this machine leave for those who look for them

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> ServerSettings:
        env = os.environ if env is None else env
        home = Path(env.get("HOME", "/"))
        return cls(
            url=env.get("RAYKQI_URL") or None,
            token=env.get("RAYKQI_TOKEN") or "",
            project=env.get("RAYKQI_PROJECT") or "",
            profile=env.get("RAYKQI_PROFILE") or "",
            timeout=float(_number(env, "RAYKQI_TIMEOUT", int(cls.timeout), minimum=1)),
            profiles=Path(env.get("XDG_CONFIG_HOME") or home / ".config") / "raykqi" / "profiles.json",
            records=Path(env.get("XDG_STATE_HOME") or home / ".local" / "state") / "raykqi" / "servers",
        )


@dataclass(frozen=True)
class ApiSettings:
    """What a server is told by its environment alone, since its config is shown to whoever looks."""

    oidc_secret: str = field(default="", repr=False)  # RAYKQI_OIDC_SECRET: its own, at the provider of identities

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> ApiSettings:
        env = os.environ if env is None else env
        return cls(oidc_secret=env.get("RAYKQI_OIDC_SECRET") or "")


def nearest_workspace(folder: Path) -> Path | None:
    """Of this folder and those above it, the first that has a workspace: where that is."""
    places = (parent / DEFAULT_FOLDER for parent in (folder, *folder.parents))
    return next((place for place in places if (place / "workspace.json").is_file()), None)


@contextmanager
def environment_with(values: Mapping[str, str]) -> Iterator[None]:
    """Variables for this process and those that it starts meanwhile; what is set already stays as it is."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextmanager
def environment_replaced(values: Mapping[str, str]) -> Iterator[None]:
    """Variables for code of users that runs inside of this process; afterwards all is as before."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def environment_of_models() -> dict[str, str]:
    """What a process in which a model runs gets of this one's variables: no secrets, nothing of Ray."""
    return {name: os.environ[name] for name in OF_MODELS if name in os.environ}


def forget_environment(keep: tuple[str, ...]) -> None:
    """Leave of this process's variables those that nodes hand on, and those whose names begin like one in `keep`."""
    for name in [name for name in os.environ if name not in OF_NODES and not name.startswith((*OF_TOOLS, *keep))]:
        del os.environ[name]


def _login_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return "unknown"


def _storable(text: str) -> str:
    """Bytes of the environment that are not UTF-8 come as lone surrogates, which no journal can hold."""
    return text.encode(errors="surrogateescape").decode(errors="replace")


def _number(env: Mapping[str, str], name: str, default: int, *, minimum: int) -> int:
    text = env.get(name)
    if not text:
        return default
    try:
        value = int(text)
    except ValueError:
        raise InvalidInput(f"{name}={text!r} is not a whole number", hint=f"Unset {name} or give a number.") from None
    if value < minimum:
        raise InvalidInput(f"{name}={text!r} is below {minimum}", hint=f"Give {name} a number of at least {minimum}.")
    return value
