"""raykqi: machine-learning work on Ray that never forgets how a result came about.

    import raykqi

    raykqi.init("./.raykqi")
    with raykqi.open("./.raykqi") as ws:
        photos = ws.push("photos", ["type:dataset", "split:train"], name=True)
        print(ws.find("type:dataset", "!split:test"))
        ws.pull(photos.id, "copy-of-photos")

Names in `__all__` are public; nothing else is.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raykqi.workspace import Workspace

__all__ = ["__version__", "init", "open"]
__version__ = "0.1.0"


def init(url: str | Path) -> None:
    """Make an empty workspace at a local path or an `s3://bucket/prefix`."""
    from raykqi.opening import create_workspace
    from raykqi.settings import Settings

    create_workspace(str(url), Settings.from_env())


def open(url: str | Path | None = None) -> Workspace:  # noqa: A001
    """Open the workspace at `url`, else at RAYKQI_WORKSPACE, else at the nearest `.raykqi` folder."""
    from raykqi.opening import find_workspace, open_parts
    from raykqi.settings import Settings
    from raykqi.workspace import Workspace

    settings = Settings.from_env()
    where = str(url) if url is not None else find_workspace(settings, Path.cwd())
    return Workspace(open_parts(where, settings), settings)
