"""Bytes over HTTP: pushed, pulled, listed and read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from raykqi.client.asking import Asking
from raykqi.client.listing import read_listing
from raykqi.domain.data import Data, Named
from raykqi.domain.tags import check_tags, parse_tags
from raykqi.domain.text import check_name
from raykqi.settings import Settings
from raykqi.storage.progress import Progress, SilentProgress

if TYPE_CHECKING:
    from raykqi.domain.tree import Entry
    from raykqi.storage.materialise import Materialised

__all__ = ["TransferVerbs"]


class TransferVerbs(Asking):
    _settings: Settings

    def push(
        self,
        source: str | Path,
        tags: Iterable[str] = (),
        *,
        name: bool = False,
        inputs: Mapping[str, Named] | None = None,
        dereference: bool = False,
        progress: Progress | None = None,
    ) -> Data:
        """Store a directory or file with its tags, in one step that happens whole or not at all.

        `name` adds `name:` and the last part of the path. `inputs` names data that it was made of by hand.
        """
        from raykqi.client.pushing import Push

        path = Path(source)
        wanted = [*check_tags(tags), f"name:{path.resolve().name}"] if name else tags
        checked = tuple(str(tag) for tag in parse_tags(wanted))
        named = {check_name(each, "input"): data for each, data in (inputs or {}).items()}
        given = {each: self.resolve_data(data) for each, data in named.items()}
        push = Push(self._transport, self._path, self._settings, progress or SilentProgress())
        return push.run(path, checked, given, dereference=dereference)

    def pull(
        self,
        data: Named,
        target: str | Path,
        *,
        patterns: Iterable[str] = (),
        overwrite: bool = False,
        allow_unsafe_links: bool = False,
        progress: Progress | None = None,
    ) -> Materialised:
        """Write the data, or what of it matches the patterns, to `target`; every file is verified."""
        from raykqi.client.pulling import Pull

        whole = self._data_id(data)
        pull = Pull(self._transport, self._path("data", whole), self._settings, progress or SilentProgress())
        return pull.run(Path(target), tuple(patterns), overwrite=overwrite, allow_unsafe_links=allow_unsafe_links)

    def ls(self, data: Named, patterns: Iterable[str] = ()) -> list[Entry]:
        """The files, links and directories of the data."""
        return list(read_listing(self._transport, self._path("data", self._data_id(data)), tuple(patterns)))

    def cat(self, data: Named, path: str) -> Iterator[bytes]:
        """One file's bytes, verified, in chunks."""
        from raykqi.client.reading import open_file

        return open_file(self._transport, self._path("data", self._data_id(data)), path)
