"""The route table: every noun's routes, those that are asked for most often first."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from serve_api.routing import Route

__all__ = ["all_routes"]


def all_routes() -> Iterator[Route]:
    from serve_api.routes import data, lineage, plans, runs, service, streams, upkeep

    return chain(*(noun.routes for noun in (data, runs, streams, plans, lineage, service, upkeep)))
