"""The OpenAPI document, made from the route table and the Structs that it names: `python -m serve_api.openapi`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, get_type_hints

import msgspec

from raykqi import __version__
from serve_api.answering import CHOSEN, fields_of
from serve_api.problems import MEDIA_TYPE, ProblemDetails
from serve_api.routing import Route

__all__ = ["document"]

REF = "#/components/schemas/{name}"
Record = dict[str, Any]
ABOUT = """\
Everything that the command line and the Python library can do with a workspace.

Errors are `application/problem+json`. `Raykqi-Seq` of an answer, sent along with the next request, makes any replica
wait until it knows as much. Lists answer with `next_cursor`, which asks for the next page as `cursor`. `fields` chooses
fields of a JSON answer. What creates or removes takes an `Idempotency-Key`: what is asked again is answered, not done
again."""
_PARAMETERS: Record = {
    "Fields": {
        "name": "fields",
        "in": "query",
        "description": "Only these fields of each item, with commas between them.",
        "schema": {"type": "string"},
    },
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "The same request with the same key is done once, and answered each time.",
        "schema": {"type": "string", "maxLength": 255, "pattern": "^[!-~]+$"},
    },
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "description": "The ETag that it must still have.",
        "schema": {"type": "string", "pattern": "^[!-~]+$"},
    },
}
_PROBLEMS = {
    "400": "Something that was given is malformed",
    "401": "No token, or one that is not valid any more",
    "403": "The role does not allow it",
    "404": "It is not there, or not for you",
    "409": "The state of the workspace forbids it",
    "410": "The data was purged or removed",
    "412": "It was changed since it was read",
    "413": "Too large",
    "429": "Tried too often",
    "500": "Something is wrong inside of the server",
    "502": "Storage or controller failed",
    "503": "Storage or controller does not answer now",
    "507": "The storage is full",
}
_IN_PATH = {
    "project": ("The name of a project", "default"),
    "data": ("An id of data, or the beginning of one", "01939c1c-7d1e-7b0a-9f41-0d9a6c1e2f33"),
    "run": ("An id of a run, or the beginning of one", "01939c1c-7d1e-7b0a-9f41-0d9a6c1e2f33"),
    "plan": ("An id of a plan, the beginning of one, or its name", "train"),
    "name": ("The name of an endpoint", "digits"),
    "job": ("An id of a job, or the beginning of one", "01939c1c-7d1e-7b0a-9f41-0d9a6c1e2f33"),
    "node": ("An id of data or a run, or the beginning of one", "01939c1c-7d1e-7b0a-9f41-0d9a6c1e2f33"),
}


def document(routes: Iterable[Route]) -> Record:
    routes = tuple(routes)
    types: list[Any] = [ProblemDetails]
    types += [each for route in routes for each in (route.body, route.answer) if each is not None]
    schemas, components = _plainly_named(msgspec.json.schema_components(types, schema_hook=_anything, ref_template=REF))
    known = {_key(kind): schema for kind, schema in zip(types, schemas, strict=True)}
    paths: dict[str, Record] = {}
    for route in routes:
        paths.setdefault(route.shown_path, {})[route.method.lower()] = _operation(route, known)
    return {
        "openapi": "3.1.0",
        "info": {"title": "raykqi", "version": __version__, "description": ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes)],
        "paths": paths,
        "components": {
            "schemas": components,
            "parameters": _PARAMETERS,
            "responses": {f"Problem{status}": _problem(what) for status, what in _PROBLEMS.items()},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "`rkq_…`, from POST /api/v1/login."},
            },
        },
    }


def _operation(route: Route, schemas: Mapping[str, Record]) -> Record:
    first, _, rest = route.summary.partition("\n")
    operation: Record = {
        "operationId": route.name,
        "summary": first.rstrip("."),
        "description": f"{rest.strip()}\n\nNeeds: {route.needs}.".strip(),
        "tags": [route.tag],
        "x-needs": route.needs,
        "security": [] if route.needs == "public" else [{"token": []}],
        "parameters": _parameters(route),
        "responses": _responses(route, schemas),
    }
    if route.body is not None or route.takes:
        operation["requestBody"] = _body(route, schemas)
    return operation


def _parameters(route: Route) -> list[Record]:
    names = [part[1:-1] for part in route.shown_path.split("/") if part.startswith("{")]
    parameters = [_in_path(name) for name in names]
    if route.query is not None:
        parameters += _in_query(route.query)
    if route.method == "GET" and fields_of(route.answer):
        parameters.append(_shared("Fields"))
    if route.once:
        parameters.append(_shared("IdempotencyKey"))
    if route.conditional:
        parameters.append(_shared("IfMatch"))
    return parameters


def _in_path(name: str) -> Record:
    what, example = _IN_PATH.get(name, (f"The {name}", ""))
    parameter: Record = {"name": name, "in": "path", "required": True, "description": what}
    parameter["schema"] = {"type": "string", "minLength": 1}
    return parameter | ({"example": example} if example else {})


def _in_query(kind: type) -> list[Record]:
    (_,), components = msgspec.json.schema_components([kind], ref_template=REF)
    schema = components[kind.__name__]
    required = schema.get("required", ())
    hints = get_type_hints(kind, include_extras=True)
    assert hints
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _plain(its)}
        for name, its in schema["properties"].items()
    ]


def _plain(schema: Record) -> Record:
    """As a query can say it: a value that is left out is not there, instead of null."""
    options = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if not options:
        return schema
    return (options[0] if len(options) == 1 else {"anyOf": options}) | {
        name: value for name, value in schema.items() if name not in ("anyOf", "default")
    }


def _body(route: Route, schemas: Mapping[str, Record]) -> Record:
    content: Record = {}
    if route.body is not None:
        content["application/json"] = {"schema": schemas[_key(route.body)]}
        if route.example is not None:
            content["application/json"]["example"] = msgspec.to_builtins(route.example)
    for media in route.takes:
        content[media] = {"schema": {"type": "string", "format": "binary"}}
        if isinstance(route.example, str):
            content[media] = {"schema": {"type": "string"}, "example": route.example}
    return {"required": True, "content": content}


def _responses(route: Route, schemas: Mapping[str, Record]) -> Record:
    content: Record = {media: {"schema": {"type": "string"}} for media in route.media}
    if route.answer is not None:
        content["application/json"] = {"schema": schemas[_key(route.answer)]}
        if route.shows is not None:
            content["application/json"]["example"] = msgspec.to_builtins(route.shows)
        if route.method == "GET" and fields_of(route.answer):
            content[CHOSEN] = {"schema": {"description": "With `fields`: those that were chosen."}}
    good: Record = {"description": "Done", "headers": _headers(route)}
    if content and route.status != 204:
        good["content"] = content
    responses = {str(route.status): good}
    if route.tagged:
        responses["304"] = {"description": "As it was"}
    for status in route.also:
        responses[str(status)] = good | {"description": HTTPStatus(status).phrase}
    return responses | {status: {"$ref": f"#/components/responses/Problem{status}"} for status in _PROBLEMS}


def _headers(route: Route) -> Record:
    names = ["X-Request-Id", "Raykqi-Seq", "Raykqi-Version", *(["ETag"] if route.tagged else [])]
    return {name: {"schema": {"type": "string"}} for name in names}


def _problem(what: str) -> Record:
    return {"description": what, "content": {MEDIA_TYPE: {"schema": {"$ref": REF.format(name="ProblemDetails")}}}}


def _plainly_named(made: tuple[tuple[Record, ...], Record]) -> tuple[tuple[Record, ...], Record]:
    """Of two Structs of one name: `raykqi.domain.run.Usage` → `RunUsage`."""
    text = msgspec.json.encode(made).decode()
    for name in made[1]:
        if "." in name:
            *_, module, last = name.split(".")
            text = text.replace(f'"{name}"', f'"{module.capitalize()}{last}"')
            text = text.replace(f'"{REF.format(name=name)}"', f'"{REF.format(name=module.capitalize() + last)}"')
    named: tuple[tuple[Record, ...], Record] = msgspec.json.decode(text, type=tuple[tuple[Record, ...], Record])
    return named


def _anything(kind: type) -> Record:
    """What plans hand on as it is."""
    if kind is object:
        return {"description": "Any JSON"}
    raise TypeError(f"{kind} has no schema")


def _shared(name: str) -> Record:
    return {"$ref": f"#/components/parameters/{name}"}


def _key(kind: object) -> str:
    """Of generic types there are several objects that mean the same."""
    return repr(kind)


if __name__ == "__main__":
    from serve_api.routes import all_routes

    sys.stdout.write(msgspec.json.format(msgspec.json.encode(document(all_routes())), indent=2).decode() + "\n")
