"""raykqi: machine-learning work on Ray that never forgets how a result came about.

    import raykqi

    raykqi.init("./.raykqi")
    with raykqi.open("./.raykqi") as ws:
        photos = ws.push("photos", ["type:dataset", "split:train"], name=True)
        print(ws.find("type:dataset", "!split:test"))
        ws.pull(photos.id, "copy-of-photos")
        print(raykqi.draw(ws.lineage(photos.id), "svg"))

Names in `__all__` are public; nothing else is. They are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from raykqi import errors
from raykqi.errors import RaykqiError
from raykqi.version import VERSION

if TYPE_CHECKING:
    from raykqi.client import RemoteWorkspace
    from raykqi.domain.data import Data, DataQuery, Page
    from raykqi.domain.endpoint import (
        Batching,
        Binding,
        Canary,
        Endpoint,
        EndpointSpec,
        Gate,
        Guard,
        Job,
        Loading,
        RequestLimits,
        Revision,
        Sampling,
        Scale,
        ServingResources,
    )
    from raykqi.domain.lineage import Lineage
    from raykqi.domain.tags import Tag
    from raykqi.importers.functions import plan
    from raykqi.importers.planfile import read_plan
    from raykqi.rendering.drawing import draw
    from raykqi.workspace import Workspace

__all__ = ["Batching", "Binding", "Canary", "Data", "DataQuery", "Endpoint", "EndpointSpec", "Gate", "Guard", "Job"]
__all__ += ["Lineage", "Loading", "Page", "RaykqiError", "RemoteWorkspace", "RequestLimits", "Revision", "Sampling"]
__all__ += ["Scale", "ServingResources", "Tag", "Workspace"]
__all__ += ["__version__", "connect", "draw", "errors", "init", "open", "plan", "read_plan"]
__version__ = VERSION

_LATER = {
    "Batching": "raykqi.domain.endpoint",
    "Binding": "raykqi.domain.endpoint",
    "Canary": "raykqi.domain.endpoint",
    "Data": "raykqi.domain.data",
    "DataQuery": "raykqi.domain.data",
    "Endpoint": "raykqi.domain.endpoint",
    "EndpointSpec": "raykqi.domain.endpoint",
    "Gate": "raykqi.domain.endpoint",
    "Guard": "raykqi.domain.endpoint",
    "Job": "raykqi.domain.endpoint",
    "Loading": "raykqi.domain.endpoint",
    "Page": "raykqi.domain.data",
    "RemoteWorkspace": "raykqi.client",
    "RequestLimits": "raykqi.domain.endpoint",
    "Revision": "raykqi.domain.endpoint",
    "Sampling": "raykqi.domain.endpoint",
    "Scale": "raykqi.domain.endpoint",
    "ServingResources": "raykqi.domain.endpoint",
    "Tag": "raykqi.domain.tags",
    "Lineage": "raykqi.domain.lineage",
    "Workspace": "raykqi.workspace",
    "draw": "raykqi.rendering.drawing",
    "plan": "raykqi.importers.functions",
    "read_plan": "raykqi.importers.planfile",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module 'raykqi' has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)


def init(url: str | Path, *, exist_ok: bool = False) -> None:
    """Make an empty workspace at a local path or an `s3://bucket/prefix`, unless `exist_ok` and there is one."""
    from raykqi.errors import WorkspaceExists
    from raykqi.opening import create_workspace
    from raykqi.settings import Settings

    try:
        create_workspace(str(url), Settings.from_env())
    except WorkspaceExists:
        if not exist_ok:
            raise


def open(  # noqa: A001
    url: str | Path | None = None, *, project: str | None = None, for_repair: bool = False
) -> Workspace:
    """Open the workspace at `url`, else at RAYKQI_WORKSPACE, else at the nearest `.raykqi` folder.

    Everything is asked for and made in `project`, else in RAYKQI_PROJECT, else in the project `default`.

    One with a damaged journal is refused, unless it is opened `for_repair`: to `fsck`, `snapshot` or `rebuild` it.
    """
    from dataclasses import replace

    from raykqi.domain.access import check_project
    from raykqi.opening import find_workspace, open_parts
    from raykqi.settings import Settings
    from raykqi.workspace import Workspace

    settings = Settings.from_env()
    if project is not None:
        settings = replace(settings, project=project)
    check_project(settings.project)
    where = str(url) if url is not None else find_workspace(settings, Path.cwd())
    return Workspace(open_parts(where, settings, for_repair=for_repair), settings)


def connect(
    url: str | None = None, *, token: str | None = None, project: str | None = None, profile: str | None = None
) -> RemoteWorkspace:
    """The same verbs over HTTP: of the server at `url`, else of a profile, RAYKQI_URL, or a server of this machine.

    The token, when it is not given, is RAYKQI_TOKEN, or what `raykqi login` or `raykqi up` has kept for that server.
    """
    from raykqi.client import RemoteWorkspace
    from raykqi.client.target import find_target, target_at
    from raykqi.settings import ServerSettings, Settings

    server = ServerSettings.from_env()
    if url is not None:
        target = target_at(url, server, token=token, project=project)
    else:
        target = find_target(server, profile=profile, token=token, project=project)
    return RemoteWorkspace(target, Settings.from_env(), server, version=__version__)
