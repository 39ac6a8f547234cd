"""Objects that lie outside of the workspace: found, read, and otherwise left alone.

A foreign store is never closed when it is a folder: closing sweeps unfinished writes out of its
`tmp/`, and here `tmp/` is somebody's.
"""

from __future__ import annotations

import threading
from urllib.parse import quote, unquote

from raykqi.errors import InvalidInput
from raykqi.settings import Settings
from raykqi.storage.filesystem import TEMPORARY, Store, open_store

__all__ = ["ForeignStores", "foreign_url"]


class ForeignStores:
    """Stores by root, opened when first asked for. Safe to use from many threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._stores: dict[str, Store] = {}

    def locate(self, url: str) -> tuple[Store, str, str]:
        """The store that a URL lies in, the store's root URL, and the key there."""
        root, key = _split(url)
        with self._lock:
            if root not in self._stores:
                self._stores[root] = open_store(root, self._settings)
            return self._stores[root], root, key

    def close(self) -> None:
        with self._lock:
            for store in self._stores.values():
                if store.local_path("any") is None:
                    store.close()
            self._stores.clear()


def foreign_url(root: str, key: str) -> str:
    separator = "" if root.endswith("/") else "/"
    return f"{root}{separator}{quote(key) if root.startswith('file:') else key}"


def _split(url: str) -> tuple[str, str]:
    """The root is the bucket, or `/` for files, unless a store there would hide the key as unfinished."""
    scheme, _, rest = url.partition("://")
    if scheme == "file":
        if not rest.startswith("/"):
            raise InvalidInput(f"{url!r} is not an absolute path", hint="Write file:///absolute/path.")
        root, key = "file:///", unquote(rest).strip("/")
    else:
        bucket, _, key = rest.partition("/")
        root = f"{scheme}://{bucket}"
    while f"{key}/".startswith(TEMPORARY):
        first, _, key = key.partition("/")
        root = foreign_url(root, first)
    return root, key
