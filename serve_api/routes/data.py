"""Data: find, look at, tag, give up. Their bytes are elsewhere."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from raykqi.domain.data import Data, DataQuery, Page, TagChange, TagCount
from raykqi.domain.events import RunCreated
from raykqi.domain.filter_text import by_field, parse_filters
from raykqi.domain.tags import instant_of, parse_query_tag
from raykqi.domain.text import check_text
from serve_api.asking import Asked
from serve_api.routing import PROJECT, Routes

__all__ = ["Count", "Limit", "routes"]

Limit = Annotated[int, msgspec.Meta(ge=1, le=1000)]
Order = Literal["newest", "oldest"]
ID = "01939c1c-7d1e-7b0a-9f41-0d9a6c1e2f33"
routes = Routes("data", prefix=PROJECT)


class Count(msgspec.Struct, frozen=True):
    count: int


class DataWanted(msgspec.Struct, frozen=True):
    """`tag` may be there several times: all must hold; `!key:value` is one that must not.

    `filter` as `field:expression`, such as `size:>10MB`, `created:2026-11-20` or `name:!draft`; all must hold.
    """

    tag: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    id: str = ""
    name: str = ""
    since: str = ""
    until: str = ""
    min_size: int | None = None
    max_size: int | None = None
    creator: str = ""
    upstream_run: str = ""
    filter: tuple[str, ...] = ()


class DataListed(DataWanted, frozen=True):
    order: Order = "newest"
    limit: Limit = 50
    cursor: str = ""


class TagEdit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """First keys and tags are taken off, then tags are added. With `dry_run` nothing is changed."""

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    remove_keys: tuple[str, ...] = ()
    dry_run: bool = False


class TagsEdit(TagEdit, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of all these data, in one step."""

    data: tuple[str, ...]


class Tagging(msgspec.Struct, frozen=True):
    """What really changed; with `dry_run`, also the runs that it would make."""

    changes: tuple[TagChange, ...]
    runs: tuple[RunCreated, ...] = ()


class GivingUp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The lineage keeps the reason."""

    data: tuple[str, ...]
    reason: str
    dry_run: bool = False


class Importing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    url: str
    tags: tuple[str, ...] = ()


class Match(msgspec.Struct, frozen=True):
    plan: str
    input: str


class TagsListed(msgspec.Struct, frozen=True):
    key: str = ""
    prefix: str = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1000


class Named(msgspec.Struct, frozen=True):
    """`any` is data, else a run."""

    prefix: str
    kind: Literal["any", "data", "run"] = "any"


class Whole(msgspec.Struct, frozen=True):
    id: str


@routes.get("/data", needs="viewer")
def find_data(asked: Asked, query: DataListed) -> Page:
    """The data that meet all conditions"""
    return asked.workspace.page(_query(asked, query, query.order), limit=query.limit, cursor=query.cursor)


@routes.get("/data/count", needs="viewer", shows=Count(42))
def count_data(asked: Asked, query: DataWanted) -> Count:
    """How many data meet all conditions"""
    return Count(asked.workspace.count(_query(asked, query, "newest")))


@routes.post("/data/purge", needs="manager", once=True, example=GivingUp((ID,), "taken without consent"))
def purge_data(asked: Asked, body: GivingUp) -> list[str]:
    """Give up the bytes; record, tags and lineage stay. Answers with the ids that were not purged yet"""
    return asked.workspace.purge(body.data, body.reason, dry_run=body.dry_run)


@routes.post("/data/remove", needs="manager", once=True, example=GivingUp((ID,), "pushed by mistake"))
def remove_data(asked: Asked, body: GivingUp) -> list[str]:
    """Take data out of every list; lineage keeps a tombstone. Answers with the ids that were not removed yet"""
    return asked.workspace.remove(body.data, body.reason, dry_run=body.dry_run)


@routes.post(
    "/data/import", needs="workspace", status=201, once=True, example=Importing("s3://partner/scans", ("type:scan",))
)
def import_data(asked: Asked, body: Importing) -> Data:
    """Take in objects that lie elsewhere, by reference: the server reads them once, with its own credentials"""
    return asked.workspace.import_(body.url, body.tags)


@routes.get("/data/{data}", needs="viewer", tagged=True, remembered=True)
def show_data(asked: Asked, data: str) -> Data:
    """Everything known about one data, also when it was purged or removed"""
    return asked.workspace.show(data)


@routes.patch("/data/{data}/tags", needs="member", conditional=True, example=TagEdit(("stage:prod",), ("stage:test",)))
def tag_data(asked: Asked, data: str, body: TagEdit) -> Tagging:
    """Change the tags of one data"""
    return _tag(asked, (data,), body)


@routes.get("/data/{data}/matches", needs="viewer")
def matches_of_data(asked: Asked, data: str) -> list[Match]:
    """The plans and inputs that may take the data now"""
    return [Match(plan, name) for plan, name in asked.workspace.matches(data)]


@routes.get("/tags", needs="viewer")
def list_tags(asked: Asked, query: TagsListed) -> list[TagCount]:
    """Every tag in use and on how many data, most used first"""
    return asked.workspace.tags(key=query.key, prefix=query.prefix, limit=query.limit)


@routes.post("/tags", needs="member", example=TagsEdit(("split:train",), data=(ID,)))
def tag_many(asked: Asked, body: TagsEdit) -> Tagging:
    """Change the tags of many data in one step"""
    return _tag(asked, body.data, body)


@routes.get("/resolve", needs="viewer", shows=Whole(ID))
def resolve(asked: Asked, query: Named) -> Whole:
    """The whole id of the one that begins so"""
    workspace = asked.workspace
    whole = {"any": workspace.resolve, "data": workspace.resolve_data, "run": workspace.resolve_run}
    return Whole(whole[query.kind](query.prefix))


def _query(asked: Asked, wanted: DataWanted, order: Order) -> DataQuery:
    without = [*wanted.without, *(tag[1:] for tag in wanted.tag if tag.startswith("!"))]
    return DataQuery(
        tags=tuple(parse_query_tag(tag) for tag in wanted.tag if not tag.startswith("!")),
        without=tuple(parse_query_tag(tag) for tag in without),
        id_prefix=wanted.id,
        name=check_text(wanted.name, "name"),
        since=instant_of(wanted.since or None),
        until=instant_of(wanted.until or None),
        min_size=wanted.min_size,
        max_size=wanted.max_size,
        creator=check_text(wanted.creator, "creator"),
        upstream_run=wanted.upstream_run and asked.workspace.resolve_run(wanted.upstream_run),
        oldest_first=order == "oldest",
        filters=parse_filters("data", by_field(wanted.filter, ":")),
    )


def _tag(asked: Asked, data: tuple[str, ...], edit: TagEdit) -> Tagging:
    workspace = asked.workspace
    if edit.dry_run:
        changes, runs = workspace.preview_tag(data, add=edit.add, remove=edit.remove, remove_keys=edit.remove_keys)
        return Tagging(tuple(changes), tuple(runs))
    return Tagging(tuple(workspace.tag(data, add=edit.add, remove=edit.remove, remove_keys=edit.remove_keys)))
