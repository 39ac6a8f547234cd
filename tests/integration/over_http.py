"""A workspace behind a real server on loopback, and clients of it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from raykqi import __version__
from raykqi.client import RemoteWorkspace
from raykqi.client.target import Target
from raykqi.settings import ServerSettings, Settings
from raykqi.workspace import Workspace
from serve_api.app import create_app
from serve_api.options import ApiOptions

__all__ = ["connected", "free_port", "over_http", "serving_http"]

STARTS_WITHIN = 30.0  # seconds


@contextmanager
def serving_http(workspace: Workspace, *, port: int = 0, options: ApiOptions | None = None) -> Iterator[str]:
    """Where the API of the workspace is to be had meanwhile."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(128)
        app = create_app(workspace, options or ApiOptions())
        config = uvicorn.Config(app, log_level="error", lifespan="on", timeout_graceful_shutdown=2)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            deadline = time.monotonic() + STARTS_WITHIN
            while not server.started:
                assert thread.is_alive()
                assert time.monotonic() < deadline
                thread.join(0.01)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(STARTS_WITHIN)


def connected(
    url: str, token: str, folder: Path, *, project: str = "default", timeout: float = 20.0, version: str = __version__
) -> RemoteWorkspace:
    settings = Settings(user="nobody", cache_dir=folder / "client-cache")
    return RemoteWorkspace(Target(url, token, project), settings, ServerSettings(timeout=timeout), version=version)


@contextmanager
def over_http(workspace: Workspace, user: str, folder: Path) -> Iterator[RemoteWorkspace]:
    """The same workspace as an administrator of that name has it from elsewhere."""
    if user not in {each.name for each in workspace.users()}:
        workspace.add_user(user, is_admin=True)
    _, token = workspace.issue_token("test", user=user)
    with serving_http(workspace) as url, connected(url, token, folder) as remote:
        yield remote


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
