"""What all verbs over HTTP stand on: the connection, the project that is acted in, and short ids made whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TypeVar

import msgspec

from raykqi.client.transport import Params, Transport, place
from raykqi.domain.data import Named, id_of
from raykqi.domain.ids import check_id_prefix, is_id
from raykqi.errors import InvalidInput, InvalidQuery

__all__ = ["API", "Asking", "Whole", "check_limit", "moment_text", "paged"]

API = "/api/v1"
PAGE = 1_000

Item = TypeVar("Item")


class Whole(msgspec.Struct, frozen=True):
    """What a short id means."""

    id: str


class Asking:
    def __init__(self, transport: Transport, project: str) -> None:
        self._transport = transport
        self._project = project

    def _path(self, *parts: str) -> str:
        """Within the project."""
        return f"{API}/projects/{place(self._project, *parts)}"

    def _whole(self, prefix: str, kind: str) -> str:
        """A whole id stands for itself; whether it is there, whatever is asked next says."""
        if is_id(prefix):
            return prefix
        begins = check_id_prefix(prefix, "run" if kind == "run" else "data")
        params: Params = [("prefix", begins), ("kind", kind)]
        return self._transport.get(self._path("resolve"), Whole, params).id

    def resolve_data(self, prefix: Named) -> str:
        """The whole id of the one data that begins so and was not removed."""
        return self._asked(id_of(prefix), "data")

    def resolve(self, prefix: Named) -> str:
        """The whole id of the one data that begins so, else of the one run."""
        return self._asked(id_of(prefix), "any")

    def resolve_run(self, prefix: str) -> str:
        """The whole id of the one run that begins so."""
        return self._asked(prefix, "run")

    def _asked(self, prefix: str, kind: str) -> str:
        begins = check_id_prefix(prefix, "run" if kind == "run" else "data")
        return self._transport.get(self._path("resolve"), Whole, [("prefix", begins), ("kind", kind)]).id

    def _data_id(self, data: Named) -> str:
        """Of data that may be gone: the server makes a short one whole."""
        return check_id_prefix(id_of(data))

    def _data_ids(self, data: Named | Sequence[Named]) -> tuple[str, ...]:
        named = [id_of(each) for each in ([data] if isinstance(data, Named) else data)]
        if not named:
            raise InvalidInput("no data were named", hint="Give at least one id.")
        return tuple(dict.fromkeys(self._whole(each, "data") for each in named))


def paged(
    ask: Callable[[int, str], tuple[Sequence[Item], str]], limit: int | None, *, page: int = PAGE
) -> Iterator[Item]:
    """All that there is, or the first `limit`, page by page."""
    left, cursor = limit, ""
    while left is None or left > 0:
        items, cursor = ask(page if left is None else min(page, left), cursor)
        yield from items
        if not cursor:
            return
        left = None if left is None else left - len(items)


def moment_text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def check_limit(limit: int | None) -> None:
    if limit is not None and limit < 1:
        raise InvalidQuery(f"a list of {limit} is not possible", hint="Ask for 1 or more, or leave it out for all.")
