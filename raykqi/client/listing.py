"""What data consists of, as the server lists it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import quote

from raykqi.client.asking import paged
from raykqi.client.transport import Params, Transport
from raykqi.domain.transfer import FileEntry, FilePage
from raykqi.domain.tree import Entry

__all__ = ["file_path", "read_listing"]

PAGE = 10_000


def read_listing(transport: Transport, data: str, patterns: Sequence[str] = ()) -> Iterator[Entry]:
    """In the order of the paths; `data` is the path of the data in the API. Where bytes lie is the server's matter."""

    def ask(most: int, cursor: str) -> tuple[Sequence[FileEntry], str]:
        params: Params = [*(("pattern", each) for each in patterns), ("limit", most), ("cursor", cursor or None)]
        page = transport.get(f"{data}/files", FilePage, params)
        return page.items, page.next_cursor

    for each in paged(ask, None, page=PAGE):
        yield Entry(each.path, each.kind, each.mode, each.size, each.hash, each.target)


def file_path(data: str, path: str) -> str:
    """Where the API has one file."""
    return f"{data}/files/{quote(path)}"
