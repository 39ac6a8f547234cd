"""The application: one workspace as FastAPI, whatever serves it (Ray Serve, or uvicorn in a test)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route as Path

from raykqi import __version__
from raykqi.workspace import Workspace
from serve_api.answering import encode
from serve_api.api import Api
from serve_api.door import Door
from serve_api.gate import Gate
from serve_api.openapi import document
from serve_api.options import ApiOptions
from serve_api.problems import MEDIA_TYPE, problem_of
from serve_api.reference import reference
from serve_api.routes import all_routes
from serve_api.routes.inference import EndpointRoutes
from serve_api.routing import METHODS, Route

__all__ = ["create_app"]


def create_app(workspace: Workspace, options: ApiOptions | None = None) -> FastAPI:
    """The workspace stays its opener's to close."""
    api = Api(workspace, options or ApiOptions())
    routes = tuple(all_routes())
    endpoints = EndpointRoutes(api)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        api.open()
        try:
            yield
        finally:
            await endpoints.close()
            await api.close()

    app = FastAPI(
        title="raykqi",
        version=__version__,
        lifespan=lifespan,
        openapi_url="/openapi.json",
        docs_url=None,  # the usual page runs scripts from elsewhere
        redoc_url=None,
        exception_handlers={HTTPException: _refuse},
    )
    app.state.api = api
    app.router.redirect_slashes = False
    described: dict[str, object] = {}

    def openapi() -> dict[str, object]:
        if not described:
            described.update(document(routes))
        return described

    app.openapi = openapi  # type: ignore[method-assign]
    pages = [Path("/docs", lambda _: PlainTextResponse(reference(routes)))]
    app.router.routes[:0] = [*doors(api, routes), *endpoints.paths(), *pages]
    app.add_middleware(Gate, api=api)
    return app


def doors(api: Api, routes: Iterable[Route]) -> list[Path]:
    """One for each path, in the order of the table."""
    paths: dict[str, dict[str, Route]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method] = route
    return [Path(path, Door(api, of_path), methods=METHODS, name=path) for path, of_path in paths.items()]


async def _refuse(request: Request, error: Exception) -> Response:
    """What no route was found for."""
    assert isinstance(error, HTTPException)
    note = request.scope["raykqi"]
    problem = problem_of(error, instance=request.url.path, request_id=note.request_id)
    return Response(encode(problem), error.status_code, error.headers, MEDIA_TYPE)
