"""The route table: every noun's routes, those that are asked for most often first."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from serve_api.routing import Route

__all__ = ["all_routes"]


def all_routes() -> Iterator[Route]:
    from serve_api.routes import (
        code,
        data,
        downloads,
        endpoints,
        identity,
        lineage,
        oidc,
        plans,
        projects,
        runs,
        service,
        streams,
        upkeep,
        uploads,
    )

    nouns = (
        data, runs, streams, uploads, downloads, plans, endpoints, code, lineage, service, identity, oidc, projects,
        upkeep,
    )  # fmt: skip
    return chain(*(noun.routes for noun in nouns))
