"""The server itself: is it alive, is it ready, which version, how is it doing."""

from __future__ import annotations

import msgspec
from starlette.responses import RedirectResponse, Response

from raykqi import __version__
from raykqi.errors import RaykqiError, ServerUnavailable
from serve_api import measuring
from serve_api.asking import Asked
from serve_api.routing import PREFIX, Routes

__all__ = ["routes"]

API_VERSION = 1
routes = Routes("service", prefix="")


class Alive(msgspec.Struct, frozen=True):
    status: str


class About(msgspec.Struct, frozen=True):
    """`version` of the program, `api` of what it speaks."""

    name: str
    version: str
    api: int
    workspace: str


class Service(msgspec.Struct, frozen=True):
    is_served: bool


@routes.get("/healthz", needs="public")
async def is_alive(asked: Asked) -> Alive:
    """Whether the process answers"""
    return Alive("alive")


@routes.get("/readyz", needs="public")
def is_ready(asked: Asked) -> Alive:
    """Whether requests can be answered: index, storage and controller"""
    try:
        asked.api.check_ready()
    except (RaykqiError, TimeoutError) as error:
        raise ServerUnavailable(f"not ready: {type(error).__name__}", hint="Try again in a moment.") from error
    return Alive("ready")


@routes.get(
    PREFIX, needs="public", shows=About("raykqi", __version__, API_VERSION, "01939c1c-7d1e-7b0a-9f41-0d9a6c1e2f33")
)
async def about(asked: Asked) -> About:
    """Which server this is, and what it speaks"""
    return About("raykqi", __version__, API_VERSION, asked.api.workspace.id)


@routes.get(f"{PREFIX}/service", needs="signed_in", shows=Service(True))
def service(asked: Asked) -> Service:
    """Whether plans are run now, so that what waits will not wait for ever"""
    return Service(asked.workspace.is_served())


@routes.get("/metrics", needs="signed_in", media=(measuring.MEDIA_TYPE,))
async def metrics(asked: Asked) -> Response:
    """Counts and times for Prometheus; of runs those of the caller's projects"""
    projects = None if asked.caller.is_admin else asked.caller.roles
    return Response(await asked.in_thread(asked.api.measures.text, projects), media_type=measuring.MEDIA_TYPE)


@routes.get("/", needs="public", answer=None, status=303, name="home")
async def home(asked: Asked) -> Response:
    """To a page for people"""
    return RedirectResponse("/docs", 303)
