"""The JSON shapes that the command line prints. Scripts rely on them: fields are added, never changed or taken away.

Times are RFC 3339 in UTC, sizes are bytes, tags are `key:value` texts, modes are octal texts as in `ls`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from raykqi.domain.data import Data, TagChange
from raykqi.domain.tags import Tag

if TYPE_CHECKING:
    from raykqi.domain.tree import Entry

__all__ = ["Record", "change_record", "data_record", "entry_record", "tag_texts"]

Record = dict[str, Any]


def data_record(data: Data) -> Record:
    """`id project status created timestamp creator tree size files upstream{run plan output} tags
    tombstones[]{kind at by reason} name`.
    """
    record: Record = msgspec.to_builtins(data)
    tree = record["tree"]
    record |= {"tree": tree["hash"], "size": tree["size"], "files": tree["files"]}
    return record | {"tags": tag_texts(data.tags), "name": data.name}


def change_record(change: TagChange) -> Record:
    """`data removed[] added[]`: only what really changed."""
    return {"data": change.data, "removed": tag_texts(change.removed), "added": tag_texts(change.added)}


def entry_record(entry: Entry) -> Record:
    """`path kind mode size hash`, and `target` for a link."""
    record: Record = {
        "path": entry.path,
        "kind": entry.kind,
        "mode": f"{entry.mode:o}",
        "size": entry.size,
        "hash": entry.hash,
    }
    return record | {"target": entry.object} if entry.kind == "link" else record


def tag_texts(tags: Iterable[Tag]) -> list[str]:
    return [str(tag) for tag in tags]
