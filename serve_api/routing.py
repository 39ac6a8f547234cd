"""The route table: what may be asked for, who may ask, and which function answers.

A route is declared by its function. Its parameters say what it takes: those that are named in the
path, `query` (a Struct of the query's parameters) and `body` (what JSON is decoded into); what it
returns is encoded as JSON. From the table come the routes of the application, the OpenAPI document,
the check of rights, and the test that tries every role on every route.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_type_hints

from raykqi.domain.access import Role

__all__ = ["METHODS", "PREFIX", "PROJECT", "Handler", "Method", "Needs", "Route", "Routes"]

PREFIX = "/api/v1"
PROJECT = f"{PREFIX}/projects/{{project}}"
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")  # that anybody may ask with
# public: anybody; signed_in: any user; a role in the project of the path; workspace: its administrators
Needs = Literal["public", "signed_in", "workspace"] | Role
Handler = Callable[..., Any]
_IN_PATH = re.compile(r"\{(\w+)(?::\w+)?\}")


@dataclass(frozen=True)
class Route:
    """`media` are the types of an answer that is no JSON, `takes` those of a body that is none."""

    method: Method
    path: str
    handler: Handler
    needs: Needs
    name: str
    summary: str
    tag: str
    status: int = 200
    also: tuple[int, ...] = ()  # statuses of answers that are no problems either
    query: type | None = None
    body: Any = None
    answer: Any = None
    media: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    example: object = None  # of the body
    shows: object = None  # an example of the answer
    once: bool = False  # takes an Idempotency-Key
    tagged: bool = False  # answers with an ETag
    conditional: bool = False  # takes If-Match
    any_query: bool = False  # takes parameters of which others decide
    remembered: bool = False  # the same until something is committed
    in_path: tuple[str, ...] = field(default=())

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.handler)

    @property
    def shown_path(self) -> str:
        """As OpenAPI writes it: without converters."""
        return _IN_PATH.sub(r"{\1}", self.path)


class Routes:
    """Collects the routes of one noun, in the order in which they are tried."""

    def __init__(self, tag: str, about: str = "", *, prefix: str = PREFIX) -> None:
        self.tag = tag
        self.about = about
        self._prefix = prefix
        self._routes: list[Route] = []

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)

    def get(self, path: str, *, needs: Needs, **more: Any) -> Callable[[Handler], Handler]:
        return self.route("GET", path, needs=needs, **more)

    def post(self, path: str, *, needs: Needs, **more: Any) -> Callable[[Handler], Handler]:
        return self.route("POST", path, needs=needs, **more)

    def put(self, path: str, *, needs: Needs, **more: Any) -> Callable[[Handler], Handler]:
        return self.route("PUT", path, needs=needs, **more)

    def patch(self, path: str, *, needs: Needs, **more: Any) -> Callable[[Handler], Handler]:
        return self.route("PATCH", path, needs=needs, **more)

    def delete(self, path: str, *, needs: Needs, **more: Any) -> Callable[[Handler], Handler]:
        return self.route("DELETE", path, needs=needs, **more)

    def route(self, method: Method, path: str, *, needs: Needs, **more: Any) -> Callable[[Handler], Handler]:
        """`more` are fields of `Route`; the path begins behind the prefix of these routes."""

        def declare(handler: Handler) -> Handler:
            self._routes.append(_declared(method, self._prefix + path, handler, needs, self.tag, more))
            return handler

        return declare


def _declared(method: Method, path: str, handler: Handler, needs: Needs, tag: str, more: Mapping[str, Any]) -> Route:
    hints = get_type_hints(handler)
    in_path = tuple(_IN_PATH.findall(path))
    named = [name for name in inspect.signature(handler).parameters if name not in ("asked", "query", "body")]
    if unknown := set(named) - set(in_path):
        raise TypeError(f"{handler.__name__} takes {sorted(unknown)}, which {path} does not have")
    if needs not in ("public", "signed_in", "workspace") and "project" not in in_path:
        raise TypeError(f"{path} is of no project, so that nobody can be its {needs}")
    summary = (inspect.getdoc(handler) or "").strip()
    answer = hints.get("return")
    fields: dict[str, Any] = {
        "query": hints.get("query"),
        "body": hints.get("body"),
        "answer": None if answer is type(None) or more.get("media") else answer,
        "name": handler.__name__,
        "summary": summary,
        "in_path": tuple(named),
    }
    return Route(method=method, path=path, handler=handler, needs=needs, tag=tag, **(fields | dict(more)))
