"""A served workspace in a process that does not commit by itself, such as a replica of the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raykqi.opening import Description, open_parts
from raykqi.settings import Settings
from raykqi.workspace.hosted import controller_name, make_controller
from raykqi.workspace.workspace import Workspace

__all__ = ["follow"]


def follow(url: str, settings: Settings, arguments: Mapping[str, Any] | None = None, *, cpus: float = 0.0) -> Workspace:
    """The workspace as one of the processes of a cluster sees it that do not commit themselves.

    Where there is no controller, it is made with these `arguments`; without them one waits for it.
    """
    from raykqi.cluster.controller_link import ControllerLink

    def link(description: Description) -> ControllerLink:
        name = controller_name(description)
        if not arguments:
            return ControllerLink(name)
        link = ControllerLink(name, lambda: make_controller(name, arguments, cpus=cpus, wait=False))
        link.begin()
        return link

    return Workspace(open_parts(url, settings, remote=link), settings)
