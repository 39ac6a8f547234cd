"""The workspace: every verb that scripts, the command line and the API share.

An embedded workspace does everything in this process. It holds no rules of its own: values are
checked by the domain, decisions are taken by the controller, bytes are moved by storage.
"""

from __future__ import annotations

import atexit
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from raykqi.catalog import queries
from raykqi.controller.enveloping import Enveloping
from raykqi.domain.data import Data, DataQuery, Named, Page, TagChange, TagCount, id_of
from raykqi.domain.events import DataPurged, DataRemoved, RunInput, TagsChanged
from raykqi.domain.filter_text import parse_filters
from raykqi.domain.ids import is_id
from raykqi.domain.tags import check_tags, instant_of, parse_query_tag, parse_tags
from raykqi.domain.text import check_name, check_text
from raykqi.engine.commands import Purge, Remove
from raykqi.errors import Damaged, InvalidInput, InvalidQuery, RaykqiError
from raykqi.opening import Parts
from raykqi.settings import Settings
from raykqi.storage.progress import Progress, SilentProgress
from raykqi.workspace.access_verbs import AccessVerbs
from raykqi.workspace.inside import Inside
from raykqi.workspace.lineage_verbs import LineageVerbs
from raykqi.workspace.log_verbs import LogVerbs
from raykqi.workspace.news import NewsVerbs
from raykqi.workspace.plan_verbs import PlanVerbs
from raykqi.workspace.replica_verbs import ReplicaVerbs
from raykqi.workspace.transfer_verbs import TransferVerbs
from raykqi.workspace.usage_verbs import UsageVerbs

if TYPE_CHECKING:
    from raykqi.catalog.lineage import LineageReader
    from raykqi.domain.tree import Entry
    from raykqi.domain.upkeep import Collection, Finding, Report
    from raykqi.storage.materialise import Materialised

__all__ = ["Workspace"]

PAGE = 1_000
_still_open: weakref.WeakSet[Workspace] = weakref.WeakSet()


class Workspace(AccessVerbs, ReplicaVerbs, LineageVerbs, PlanVerbs, LogVerbs, TransferVerbs, NewsVerbs, UsageVerbs):
    """Open it with `raykqi.open(url)`; close it, or use it in a `with` block. Safe to use from many threads."""

    def __init__(self, parts: Parts, settings: Settings, *, readable: frozenset[str] | None = None) -> None:
        super().__init__(parts, settings, readable=readable)
        _still_open.add(self)

    def __repr__(self) -> str:
        return f"<raykqi.Workspace {self.url}>"

    @property
    def url(self) -> str:
        return self._store.url

    @property
    def id(self) -> str:
        return self._description.id

    @property
    def project_name(self) -> str:
        """To which everything belongs that is asked for or made here."""
        return self._project

    def acting(self, *, user: str, project: str, readable: frozenset[str] | None = frozenset()) -> Workspace:
        """The same workspace in the name of `user` and in `project`; closing that closes nothing.

        Beside their own, they may name whole ids of data in `readable` projects as what they made new data of.
        """
        return _Acting(self, self._parts, replace(self._settings, user=user, project=project), readable)

    def once(self, *, key: str = "", fingerprint: str = "", expect: str = "") -> Workspace:
        """The same for one request: done once for its `key`, and only while what it changes has the ETag `expect`."""
        writer = Enveloping(self._controller, key=key, fingerprint=fingerprint, expect=expect)
        return _Acting(self, self._parts._replace(controller=writer), self._settings, self._readable)

    def close(self) -> None:
        """Finish what was begun, and give back files, locks and connections."""
        _still_open.discard(self)
        while self._servers:
            self._servers.pop().close()
        self._controller.close()
        self._keeper.index.close()
        self._store.close()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Bytes in

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
        path = Path(source)
        wanted = [*check_tags(tags), f"name:{path.resolve().name}"] if name else tags
        checked, given = parse_tags(wanted), self._inputs(inputs)
        return self._upload(progress).push(path, checked, given, dereference=dereference)

    def push_staged(self, folder: Path, tags: Iterable[str] = (), *, inputs: Mapping[str, Named] | None = None) -> Data:
        """The same for a folder below `staging_folder` that nobody will write to again: its files may not be copied."""
        return self._upload(None).push(folder, parse_tags(tags), self._inputs(inputs), staged=True)

    def import_(self, url: str, tags: Iterable[str] = (), *, progress: Progress | None = None) -> Data:
        """Take in objects that lie elsewhere, by reference: they are read once to hash them, not copied."""
        return self._upload(progress).import_(url, parse_tags(tags))

    # Bytes out

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
        from raykqi.storage.materialise import materialise

        tree = self.tree(data)
        return materialise(
            self._store,
            tree,
            Path(target),
            settings=self._settings,
            patterns=tuple(patterns),
            progress=progress or SilentProgress(),
            overwrite=overwrite,
            allow_unsafe_links=allow_unsafe_links,
        )

    def ls(self, data: Named, patterns: Iterable[str] = ()) -> list[Entry]:
        """The files, links and directories of the data."""
        wanted = tuple(patterns)
        tree = self.tree(data)
        return tree.glob(wanted) if wanted else list(tree)

    def cat(self, data: Named, path: str) -> Iterator[bytes]:
        """One file's bytes, verified, in chunks."""
        from raykqi.storage.materialise import open_file

        return open_file(self._store, self.tree(data), path, settings=self._settings)

    # Questions

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
            oldest_first=oldest_first,
            filters=parse_filters("data", filters),
        )
        if limit is not None and limit < 1:
            raise InvalidQuery(f"a list of {limit} is not possible", hint="Ask for 1 or more, or leave it out for all.")
        found: list[Data] = []
        cursor = ""
        while limit is None or len(found) < limit:
            page = self.page(query, limit=PAGE if limit is None else min(PAGE, limit - len(found)), cursor=cursor)
            found += page.items
            cursor = page.next_cursor
            if not cursor:
                break
        return found

    def page(self, query: DataQuery, *, limit: int = 50, cursor: str = "") -> Page:
        """One page; its `next_cursor` asks for the next, and is empty at the end."""
        own = msgspec.structs.replace(query, project=self._project)
        return self._read(lambda: queries.find_data(self._keeper.index, own, limit=limit, cursor=cursor))

    def count(self, query: DataQuery) -> int:
        """How many data there are."""
        own = msgspec.structs.replace(query, project=self._project)
        return self._read(lambda: queries.count_data(self._keeper.index, own))

    def show(self, data: Named) -> Data:
        """Everything known about one data, also when it was purged or removed."""
        return self._read(lambda: queries.get_data(self._keeper.index, [self._resolve(data, removed=True)])[0])

    def tags(self, *, key: str = "", prefix: str = "", limit: int = 1_000) -> list[TagCount]:
        """Every tag in use and on how many data, most used first."""
        check_text(key, "key")
        check_text(prefix, "prefix")
        index, project = self._keeper.index, self._project
        return self._read(lambda: queries.list_tags(index, key=key, prefix=prefix, project=project, limit=limit))

    # Changes

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
        command = self._tag_command(data, add, remove, remove_keys)
        changes = self._do(command, dry_run=dry_run)
        return [TagChange(e.data, e.removed, e.added) for e in changes if isinstance(e, TagsChanged)]

    def purge(self, data: Named | Sequence[Named], reason: str, *, dry_run: bool = False) -> list[str]:
        """Give up the bytes; record, tags and lineage stay. `gc` frees the space. The ids that were not purged yet."""
        command = Purge(self._settings.user, self._resolve_all(data), _reason(reason), self._project)
        return [e.data for e in self._do(command, dry_run=dry_run) if isinstance(e, DataPurged)]

    def remove(self, data: Named | Sequence[Named], reason: str, *, dry_run: bool = False) -> list[str]:
        """Take data out of every list; its lineage keeps a tombstone. `gc` frees the space."""
        command = Remove(self._settings.user, self._resolve_all(data), _reason(reason), self._project)
        return [e.data for e in self._do(command, dry_run=dry_run) if isinstance(e, DataRemoved)]

    # Upkeep

    def snapshot(self) -> str:
        """Write the index as Parquet, so that opening elsewhere is quick and plain DuckDB can query it; its key."""
        from raykqi.maintenance.snapshots import take_snapshot

        try:
            self._controller.refresh()
        except Damaged:
            if self._keeper.position.seq == 0:
                raise
        return take_snapshot(self._store, self._keeper)

    def rebuild(self, *, from_snapshot: bool = True) -> None:
        """Make the index anew from snapshot and journal, or from the journal alone."""
        self._keeper.rebuild(from_snapshot=from_snapshot)

    def compact(self) -> int:
        """Join old journal entries into few objects; how many entries were joined."""
        from raykqi.maintenance.snapshots import compact_journal

        return compact_journal(self._store, self._keeper)

    def gc(self, *, dry_run: bool = False, grace_seconds: float = 3600.0) -> Collection:
        """Delete objects that no data needs and that have been there for `grace_seconds`."""
        from raykqi.maintenance.collect import collect

        return collect(
            self._store,
            self._keeper,
            self._controller,
            by=self._settings.user,
            dry_run=dry_run,
            grace_seconds=grace_seconds,
        )

    def fsck(self, *, deep: bool = False, repair: bool = False, progress: Progress | None = None) -> Report:
        """Check every promise about what is stored; with `repair`, mend what can be mended."""
        from raykqi.maintenance.check import check_workspace

        self._refresh_if_possible()
        return check_workspace(
            self._store, self._keeper, self._settings, deep=deep, repair=repair, progress=progress or SilentProgress()
        )

    def doctor(self) -> list[Finding]:
        """Is this workspace, and this machine's access to it, in good health?"""
        from raykqi.maintenance.health import examine

        return examine(self._store, self._description, self._keeper, self._settings)

    # Inside

    def _inputs(self, inputs: Mapping[str, Named] | None) -> tuple[RunInput, ...]:
        named = {check_name(name, "input"): data for name, data in (inputs or {}).items()}
        return tuple(RunInput(name, self._input(data)) for name, data in named.items())

    def _input(self, data: Named) -> str:
        """Data of this project, or by its whole id of another one that may be read."""
        whole, index = id_of(data), self._keeper.index
        if not is_id(whole) or self._readable == frozenset():
            return self.resolve_data(data)
        (found,) = self._read(lambda: queries.get_data(index, [whole]))
        may = self._readable is None or found.project in self._readable
        return whole if may and found.status != "removed" else self.resolve_data(data)


class _Acting(Workspace):
    """Made for each request: a few references."""

    def __init__(self, workspace: Workspace, parts: Parts, settings: Settings, readable: frozenset[str] | None) -> None:
        Inside.__init__(self, parts, settings, readable=readable)
        self._servers = workspace._servers
        self._whole = workspace

    def close(self) -> None:
        """Whoever opened the workspace closes it."""

    @cached_property
    def _lineage(self) -> LineageReader:
        return self._whole._lineage


@atexit.register
def _close_the_rest() -> None:
    """A script that ends without closing must not leave DuckDB to the interpreter's own end."""
    for workspace in list(_still_open):
        with suppress(RaykqiError, OSError):
            workspace.close()


def _reason(text: str) -> str:
    if not text.strip():
        raise InvalidInput("a reason is needed", hint="Say why in a few words: the lineage keeps it.")
    return check_text(text.strip(), "reason")
