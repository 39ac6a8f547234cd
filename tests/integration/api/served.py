"""One workspace behind a real server on loopback, and clients with a token for it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI

from raykqi.opening import create_workspace, open_parts
from raykqi.settings import Settings
from raykqi.workspace import Workspace
from serve_api.app import create_app
from serve_api.options import ApiOptions

__all__ = ["Served", "serve", "served"]


@dataclass(frozen=True)
class Served:
    workspace: Workspace
    url: str
    root: Path
    app: FastAPI

    def client(self, user: str, project: str = "default") -> httpx.Client:
        """Acts as that user; paths begin behind the project."""
        _, token = self.workspace.issue_token("test", user=user)
        return httpx.Client(
            base_url=f"{self.url}/api/v1/projects/{project}",
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
            trust_env=False,
        )

    @property
    def staged(self) -> list[str]:
        """What uploads have left on this machine."""
        folder = self.workspace.staging_folder
        return [path.name for path in folder.iterdir()] if folder.exists() else []


@contextmanager
def served(tmp_path: Path, options: ApiOptions, url: str = "", settings: Settings | None = None) -> Iterator[Served]:
    """mika is an administrator, ken a member, and rui a viewer."""
    own = settings or Settings(cache_dir=tmp_path / "cache", storage_timeout=20.0)
    create_workspace(url or str(tmp_path / "store"), own)
    with Workspace(open_parts(url or str(tmp_path / "store"), own), own) as workspace:
        workspace.add_user("mika", is_admin=True)
        for user, role in (("ken", "member"), ("rui", "viewer")):
            workspace.add_user(user)
            workspace.set_member(user, role)  # type: ignore[arg-type]
        app = create_app(workspace, options)
        with listening(app) as address:
            yield Served(workspace, address, tmp_path, app)


@contextmanager
def serve(workspace: Workspace, options: ApiOptions) -> Iterator[str]:
    """One more server of a workspace; its URL."""
    with listening(create_app(workspace, options)) as address:
        yield address


@contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen(128)
        config = uvicorn.Config(app, log_level="error", lifespan="on", timeout_graceful_shutdown=2)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            deadline = time.monotonic() + 30
            while not server.started:
                assert thread.is_alive()
                assert time.monotonic() < deadline
                thread.join(0.01)
            yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)
