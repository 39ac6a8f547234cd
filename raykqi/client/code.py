"""The code of a plan, sent along as data of the project, unless the same is there already."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import msgspec

from raykqi.client.source import Source
from raykqi.client.transport import Transport
from raykqi.domain.data import Data
from raykqi.domain.plan import Code
from raykqi.importers.code_folder import code_folder, code_title
from raykqi.importers.draft import Draft

__all__ = ["send_code"]


class Known(msgspec.Struct, frozen=True):
    """`data` is that which holds the code, or ""."""

    data: str


def send_code(draft: Draft, transport: Transport, path: Callable[..., str]) -> Draft:
    """The draft with its code as data of the server: nothing in it is of this machine any more."""
    if not draft.source:
        return draft
    with code_folder(draft) as (folder, source), closing(Source(folder)) as files:
        tree = files.tree().hash
        data = transport.get(path("code", tree), Known).data
        if not data:
            params = [("code", code_title(draft, source))]
            headers = {"Content-Type": "application/x-tar"}
            sent = transport.ask("POST", path("data"), Data, params=params, content=files.tar, headers=headers)
            data, tree = sent.id, sent.tree.hash
    definition = msgspec.structs.replace(draft.definition, code=Code(tree, data, source))
    return msgspec.structs.replace(draft, definition=definition, source="", source_files=())
