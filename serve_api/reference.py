"""The reference of the API as text for people, made from the route table: `python -m serve_api.reference`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

import msgspec

from serve_api.openapi import document
from serve_api.routing import Route

__all__ = ["reference"]

HEAD = """\
# The HTTP API

Made by `python -m serve_api.reference`; a server shows the same with every shape at `/docs`, and as OpenAPI at
`/openapi.json`.

- Send a token as `Authorization: Bearer rkq_…`; `POST /api/v1/login` and `POST /api/v1/tokens` give one.
- Who may: *public*; *signed_in*: any user; *viewer*, *member*, *manager*, *admin*: whoever has that role, or a higher
  one, in the project of the path; *workspace*: administrators of the workspace. Others are told 403, or 404 where they
  are not in the project at all.
- Errors are `application/problem+json` with `type`, `title`, `status`, `detail`, `hint` and `request_id`; the last part
  of the type `urn:raykqi:error:UnknownId` is the class of `raykqi.errors`.
- `Raykqi-Seq` of an answer, sent along with the next request, makes any replica wait until it knows as much.
- Lists answer with `items` and `next_cursor`; give that as `cursor` for the next page, or follow the header `Link`.
- `fields=id,tags` chooses fields of any JSON answer.
- `Idempotency-Key` makes a request that creates or removes something be done once however often it is sent; `If-Match`
  with an `ETag` makes a change only if nobody else made one meanwhile; `If-None-Match` asks only for what has changed.
"""


def reference(routes: Iterable[Route]) -> str:
    routes = tuple(routes)
    openapi = document(routes)
    order = list(dict.fromkeys(route.tag for route in routes))
    sections = [HEAD]
    for tag, of_tag in groupby(sorted(routes, key=lambda route: order.index(route.tag)), key=lambda route: route.tag):
        sections.append(f"## {tag.capitalize()}\n")
        sections += ["\n".join(_route(route, openapi)) for route in of_tag]
    sections += ["## Shapes\n", "\n".join(_shapes(openapi["components"]["schemas"]))]
    return "\n".join(sections) + "\n"


def _shapes(schemas: dict[str, Any]) -> Iterator[str]:
    """Every Struct with its fields; those with a `?` may be left out."""
    for name, schema in sorted(schemas.items()):
        needed = schema.get("required", ())
        fields = [f"`{field}`{'' if field in needed else '?'}" for field in schema.get("properties", ())]
        values = fields or [f"`{value}`" for value in schema.get("enum", ())] or [_generic_schema(schema)]
        about = " ".join(str(schema.get("description", "")).split())
        yield f"- **{name}**: {', '.join(values)}{f'. {about}' if about else ''}"


def _generic_schema(schema: dict[str, Any]) -> str:
    if schema.get("type") == "array":
        return f"a list of {', '.join(str(each.get('title', '')) or each['type'] for each in schema['prefixItems'])}"
    return str(schema.get("type", "an empty object")) if schema.get("type") != "object" else "an empty object"


def _route(route: Route, openapi: dict[str, Any]) -> Iterator[str]:
    first, _, rest = route.summary.partition("\n")
    operation = openapi["paths"][route.shown_path][route.method.lower()]
    yield f"### {route.method} {route.shown_path}\n"
    yield f"{first.rstrip('.')}. *{route.needs}*\n"
    if rest.strip():
        yield rest.strip() + "\n"
    if route.query is not None:
        yield "- Query: " + ", ".join(_parameter(each) for each in operation["parameters"] if each.get("in") == "query")
    if route.body is not None:
        yield f"- Body: {_shape(route.body)}, such as `{msgspec.json.encode(route.example).decode()}`"
    if route.takes:
        yield f"- Body{' also' if route.body is not None else ''} as {', '.join(f'`{each}`' for each in route.takes)}"
    headers = ["`Idempotency-Key`"] * route.once + ["`If-Match`"] * route.conditional
    if headers:
        yield f"- Takes {', '.join(headers)}"
    told = [_shape(route.answer)] * (route.answer is not None) + [f"`{each}`" for each in route.media]
    tagged = " with an `ETag`" if route.tagged else ""
    yield f"- Answer: {route.status}{' ' if told else ''}{', '.join(told)}{tagged}\n"


def _parameter(parameter: dict[str, Any]) -> str:
    schema = parameter["schema"]
    kind = " \\| ".join(map(str, schema.get("enum", ()))) or schema.get("type", "")
    many = "*" if schema.get("type") == "array" else ""
    default = f" = {schema['default']}" if schema.get("default") not in (None, "", [], (), False) else ""
    need = "" if not parameter.get("required") else ", needed"
    return f"`{parameter['name']}{many}` ({'text' if kind in ('string', 'array') else kind}{default}{need})"


def _shape(kind: Any) -> str:
    name = getattr(kind, "__name__", "") if isinstance(kind, type) and not hasattr(kind, "__args__") else ""
    return f"`{name or str(kind).replace('raykqi.', '').split('.')[-1].rstrip(']')}`" if name else f"`{_generic(kind)}`"


def _generic(kind: Any) -> str:
    """`list[raykqi.domain.run.Run]` → `list[Run]`."""
    arguments = getattr(kind, "__args__", ())
    if not arguments:
        return getattr(kind, "__name__", str(kind))
    origin = getattr(getattr(kind, "__origin__", None), "__name__", "")
    inner = [_generic(each) for each in arguments]
    return f"{origin}[{', '.join(inner)}]" if origin else " | ".join(each.replace("NoneType", "null") for each in inner)


if __name__ == "__main__":
    from serve_api.routes import all_routes

    sys.stdout.write(reference(all_routes()))
