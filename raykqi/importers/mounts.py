"""`inputs`, `outputs` and `log` of a description."""

from __future__ import annotations

from datetime import datetime

from raykqi.domain.ids import is_id
from raykqi.domain.plan import PlanInput, PlanOutput, Take
from raykqi.domain.tags import SYSTEM_ID, SYSTEM_TIMESTAMP, Tag, check_key, parse_instant, parse_query_tag, parse_tags
from raykqi.importers.field import Field

__all__ = ["read_input", "read_inputs", "read_join", "read_log", "read_output", "read_outputs", "read_tags"]

TAKES: tuple[Take, ...] = ("each", "latest", "all")
LISTED = '- {path: /in/dataset, tags: ["type:dataset"]}'
TAGS = '["type:dataset"]'


def read_inputs(field: Field) -> tuple[PlanInput, ...]:
    return tuple(read_input(item) for item in field.items(example=LISTED))


def read_outputs(field: Field) -> tuple[PlanOutput, ...]:
    return tuple(read_output(item) for item in field.items(example='- {path: /out/model, tags: ["type:model"]}'))


def read_input(field: Field, name: str = "") -> PlanInput:
    entries = field.entries(("name", "path", "tags", "take"), what="an input")
    tags, ids, moments = _asked(entries["tags"]) if "tags" in entries else ((), "", None)
    return PlanInput(
        name=entries["name"].text() if "name" in entries else name,
        path=entries["path"].text(what="path") if "path" in entries else "",
        tags=tags,
        id=ids,
        timestamp=moments,
        take=_take(entries["take"]) if "take" in entries else "each",
    )


def read_output(field: Field, name: str = "") -> PlanOutput:
    entries = field.entries(("name", "path", "tags"), what="an output")
    return PlanOutput(
        name=entries["name"].text() if "name" in entries else name,
        path=entries["path"].text(what="path") if "path" in entries else "",
        tags=read_tags(entries["tags"]) if "tags" in entries else (),
    )


def read_log(field: Field) -> tuple[Tag, ...]:
    entries = field.entries(("tags",), what="log")
    return read_tags(entries["tags"]) if "tags" in entries else ()


def read_tags(field: Field) -> tuple[Tag, ...]:
    """Tags to set."""
    tags: list[Tag] = []
    for item in field.items(example=TAGS):
        text = item.text(what="tag")
        with item.places.at(*item.where):
            tags += parse_tags([text])
    return tuple(sorted(set(tags)))


def read_join(field: Field) -> tuple[str, ...]:
    keys = []
    for item in field.items(example='["patient"]'):
        text = item.text(what="key")
        with item.places.at(*item.where):
            keys.append(check_key(text))
    return tuple(sorted(set(keys)))


def _take(field: Field) -> Take:
    chosen = field.choice(TAKES)
    return next(take for take in TAKES if take == chosen)


def _asked(field: Field) -> tuple[tuple[Tag, ...], str, datetime | None]:
    """Tags to ask for: those of users, the one id, the one moment, which counts to the millisecond."""
    tags: set[Tag] = set()
    ids: set[str] = set()
    moments: set[datetime] = set()
    for item in field.items(example=TAGS):
        text = item.text(what="tag")
        with item.places.at(*item.where):
            tag = parse_query_tag(text)
            if not tag.is_system:
                tags.update(parse_tags([text]))
        if tag.key == SYSTEM_ID:
            ids.add(tag.value.lower())
            if not is_id(tag.value.lower()):
                item.refuse(f"{tag.value!r} is no whole id", hint="`raykqi data show ID` prints all 36 characters.")
        elif tag.key == SYSTEM_TIMESTAMP:
            moment = parse_instant(tag.value)
            moments.add(moment.replace(microsecond=moment.microsecond // 1000 * 1000))
        elif tag.is_system:
            item.refuse(
                f"an input cannot ask for {tag.key!r}",
                hint=f"Only data of runs that are done is ever used. Of the system's tags, use {SYSTEM_ID} or "
                f"{SYSTEM_TIMESTAMP}.",
            )
        if len(ids) > 1 or len(moments) > 1:
            item.refuse(f"no data has two different {tag.key}", hint="Keep one, or make an input for each.")
    return tuple(sorted(tags)), next(iter(ids), ""), next(iter(moments), None)
