"""Data over HTTP: what is there, and its tags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from raykqi.client.asking import Asking, check_limit, moment_text, paged
from raykqi.client.filtering import filter_params
from raykqi.client.transport import Params
from raykqi.domain.data import Data, DataQuery, Named, Page, TagChange, TagCount
from raykqi.domain.events import RunCreated
from raykqi.domain.filter_text import parse_filters
from raykqi.domain.tags import check_key, check_tags, instant_of, parse_query_tag, parse_tags
from raykqi.domain.text import check_text
from raykqi.errors import InvalidInput
from raykqi.storage.progress import Progress

__all__ = ["DataVerbs", "Match"]

MOST_TAGS = 1_000_000  # that a server lists at a time


class Counted(msgspec.Struct, frozen=True):
    count: int


class Tagging(msgspec.Struct, frozen=True):
    """What a change of tags did, or would do."""

    changes: tuple[TagChange, ...]
    runs: tuple[RunCreated, ...] = ()


class Match(msgspec.Struct, frozen=True):
    plan: str
    input: str


class DataVerbs(Asking):
    def find(
        self,
        *tags: str,
        without: Iterable[str] = (),
        id: str = "",  # noqa: A002
        name: str = "",
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        min_size: int | None = None,
        max_size: int | None = None,
        creator: str = "",
        upstream_run: str = "",
        filters: Mapping[str, str | Iterable[str]] | None = None,
        oldest_first: bool = False,
        limit: int | None = None,
    ) -> list[Data]:
        """The data that hold all the tags and meet all else; `!key:value` means without that tag.

        `filters` are conditions on fields as one types them: `{"size": ">10MB", "created": "2026-11-20"}`.
        """
        check_tags(tags)
        excluded = [*check_tags(without), *(tag[1:] for tag in tags if tag.startswith("!"))]
        query = DataQuery(
            tags=tuple(parse_query_tag(tag) for tag in tags if not tag.startswith("!")),
            without=tuple(parse_query_tag(tag) for tag in excluded),
            id_prefix=id,
            name=check_text(name, "name"),
            since=instant_of(since),
            until=instant_of(until),
            min_size=min_size,
            max_size=max_size,
            creator=check_text(creator, "creator"),
            upstream_run=upstream_run and self.resolve_run(upstream_run),
            filters=parse_filters("data", filters),
            oldest_first=oldest_first,
        )
        check_limit(limit)

        def ask(most: int, cursor: str) -> tuple[Sequence[Data], str]:
            page = self.page(query, limit=most, cursor=cursor)
            return page.items, page.next_cursor

        return list(paged(ask, limit))

    def page(self, query: DataQuery, *, limit: int = 50, cursor: str = "") -> Page:
        """One page; its `next_cursor` asks for the next, and is empty at the end."""
        params = [*_asked(query), ("limit", limit), ("cursor", cursor or None)]
        return self._transport.get(self._path("data"), Page, params)

    def count(self, query: DataQuery) -> int:
        """How many data there are."""
        return self._transport.get(self._path("data", "count"), Counted, _asked(query)).count

    def show(self, data: Named) -> Data:
        """Everything known about one data, also when it was purged or removed."""
        return self._transport.get(self._path("data", self._data_id(data)), Data)

    def tags(self, *, key: str = "", prefix: str = "", limit: int = 1_000) -> list[TagCount]:
        """Every tag in use and on how many data, most used first."""
        params: Params = [
            ("key", check_text(key, "key") or None),
            ("prefix", check_text(prefix, "prefix") or None),
            ("limit", min(limit, MOST_TAGS)),
        ]
        return self._transport.get(self._path("tags"), list[TagCount], params)

    def matches(self, data: Named) -> list[tuple[str, str]]:
        """The plans and inputs that may take the data now."""
        found = self._transport.get(self._path("data", self._data_id(data), "matches"), list[Match])
        return [(each.plan, each.input) for each in found]

    def tag(
        self,
        data: Named | Sequence[Named],
        *,
        add: Iterable[str] = (),
        remove: Iterable[str] = (),
        remove_keys: Iterable[str] = (),
        dry_run: bool = False,
    ) -> list[TagChange]:
        """Change the tags of one or many data in one step: first take off, then add. What changed, by data."""
        return list(self._tag(data, add, remove, remove_keys, dry_run=dry_run).changes)

    def preview_tag(
        self,
        data: Named | Sequence[Named],
        *,
        add: Iterable[str] = (),
        remove: Iterable[str] = (),
        remove_keys: Iterable[str] = (),
    ) -> tuple[list[TagChange], list[RunCreated]]:
        """What `tag` would change, and the runs that it would make; nothing is changed."""
        found = self._tag(data, add, remove, remove_keys, dry_run=True)
        return list(found.changes), list(found.runs)

    def purge(self, data: Named | Sequence[Named], reason: str, *, dry_run: bool = False) -> list[str]:
        """Give up the bytes; record, tags and lineage stay. `gc` frees the space. The ids that were not purged yet."""
        return self._give_up("purge", data, reason, dry_run)

    def remove(self, data: Named | Sequence[Named], reason: str, *, dry_run: bool = False) -> list[str]:
        """Take data out of every list; its lineage keeps a tombstone. `gc` frees the space."""
        return self._give_up("remove", data, reason, dry_run)

    def import_(self, url: str, tags: Iterable[str] = (), *, progress: Progress | None = None) -> Data:  # noqa: ARG002
        """Take in objects that lie elsewhere, by reference: they are read once to hash them, not copied."""
        body = {"url": url, "tags": [str(tag) for tag in parse_tags(tags)]}
        return self._transport.ask("POST", self._path("data", "import"), Data, body=body, patient=True)

    def _tag(
        self,
        data: Named | Sequence[Named],
        add: Iterable[str],
        remove: Iterable[str],
        remove_keys: Iterable[str],
        *,
        dry_run: bool,
    ) -> Tagging:
        body = {
            "data": self._data_ids(data),
            "add": [str(tag) for tag in parse_tags(add)],
            "remove": [str(tag) for tag in parse_tags(remove)],
            "remove_keys": [check_key(key) for key in check_tags(remove_keys)],
            "dry_run": dry_run,
        }
        return self._transport.ask("POST", self._path("tags"), Tagging, body=body)

    def _give_up(self, how: str, data: Named | Sequence[Named], reason: str, dry_run: bool) -> list[str]:
        ids = self._data_ids(data)
        if not reason.strip():
            raise InvalidInput("a reason is needed", hint="Say why in a few words: the lineage keeps it.")
        body = {"data": ids, "reason": check_text(reason.strip(), "reason"), "dry_run": dry_run}
        return self._transport.ask("POST", self._path("data", how), list[str], body=body)


def _asked(query: DataQuery) -> list[tuple[str, str | int | None]]:
    return [
        *(("tag", str(tag)) for tag in query.tags),
        *(("without", str(tag)) for tag in query.without),
        ("id", query.id_prefix or None),
        ("name", query.name or None),
        ("since", moment_text(query.since)),
        ("until", moment_text(query.until)),
        ("min_size", query.min_size),
        ("max_size", query.max_size),
        ("creator", query.creator or None),
        ("upstream_run", query.upstream_run or None),
        *filter_params(query.filters),
        ("order", "oldest" if query.oldest_first else None),
    ]
