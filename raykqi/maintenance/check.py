"""fsck: is everything that was promised really there? What is lost is named; what can be mended is.

The journal is read whole, the index is compared with one made from the journal alone, snapshots are
read back, and every tree that data still need is held against the objects in the store.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from raykqi.catalog.compare import differing_tables
from raykqi.catalog.index import Index, IndexDamaged
from raykqi.controller.index_keeper import IndexKeeper
from raykqi.domain.upkeep import Problem, Report
from raykqi.errors import Damaged, JournalBehind, ObjectMissing
from raykqi.journal.snapshot import list_snapshots, read_snapshot
from raykqi.maintenance.snapshots import take_snapshot
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store
from raykqi.storage.packs import is_external, set_aside_key
from raykqi.storage.progress import Progress
from raykqi.storage.trees import tree_key
from raykqi.storage.uploads import unreadable_uploads
from raykqi.storage.verify import Fault, verify_foreign, verify_tree

__all__ = ["check_workspace"]

KEPT_FOLDERS = ("blobs", "packs", "trees")
LOOKS = 3  # at a tree that seems to be damaged while others write
_NEEDED = "SELECT tree, id::VARCHAR FROM data WHERE status NOT IN ('purged', 'removed') AND tree <> '' ORDER BY number"


def check_workspace(
    store: Store, keeper: IndexKeeper, settings: Settings, *, deep: bool, repair: bool, progress: Progress
) -> Report:
    """`deep` reads every byte that is stored or was imported; otherwise presence and sizes are checked."""
    problems: list[Problem] = []
    problems += _check_journal(store, keeper, repair)
    problems += _check_snapshots(store, repair)
    problems += _check_uploads(store, repair)
    if problems and keeper.position.seq == 0:
        keeper.fill_readable()
    trees = _Trees(store, keeper, settings)
    problems += _check_trees(trees, deep, repair, progress)
    position = keeper.position
    return Report(tuple(problems), position.seq, position.data, len(trees.sizes))


def _check_journal(store: Store, keeper: IndexKeeper, repair: bool) -> Iterable[Problem]:
    with keeper.writing:
        fresh = Index(None, keeper.index.workspace)
        try:
            made = IndexKeeper(store, keeper.journal, fresh)
            made.fill(from_snapshot=False)
            while made.position.seq != keeper.position.seq:  # other processes go on writing
                if not keeper.catch_up() | made.catch_up():
                    yield _lost_end(store, keeper, made.position.seq, repair)
                    return
            what = _difference(keeper.index, fresh)
        except IndexDamaged:
            raise
        except Damaged as error:
            yield _journal_problem(store, keeper, error, repair)
            return
        finally:
            fresh.close()
        if what:
            if repair:
                keeper.rebuild(from_snapshot=False)
            yield Problem(
                str(keeper.index.path or "the index in memory"),
                what,
                repaired="made anew from the journal" if repair else "",
                hint="`raykqi rebuild --from-journal` makes it anew.",
            )


def _difference(index: Index, fresh: Index) -> str:
    try:
        tables = differing_tables(index, fresh)
    except IndexDamaged as error:
        return error.message
    return f"the index differs from the journal in {', '.join(tables)}" if tables else ""


def _journal_problem(store: Store, keeper: IndexKeeper, error: Damaged, repair: bool) -> Problem:
    """The index still knows what a damaged entry said: a snapshot of it makes that entry dispensable."""
    saved = ""
    if repair and keeper.position.seq:
        saved = f"the state up to entry {keeper.position.seq} is kept in {take_snapshot(store, keeper)}"
    return Problem(
        "journal",
        error.message,
        repaired=saved,
        hint="`raykqi snapshot` on a machine whose index is whole keeps what the entry said; a backup restores it.",
    )


def _lost_end(store: Store, keeper: IndexKeeper, last: int, repair: bool) -> Problem:
    """The index knows entries that the journal lost: it is the copy to keep, never the one to make anew."""
    error = JournalBehind(f"the journal ends at entry {last}; entries up to {keeper.position.seq} are lost in it")
    return _journal_problem(store, keeper, error, repair)


def _check_snapshots(store: Store, repair: bool) -> Iterable[Problem]:
    for seq in list_snapshots(store):
        folder = f"snapshots/{seq:020d}"
        try:
            snapshot = read_snapshot(store, seq)
            with tempfile.TemporaryDirectory(prefix="raykqi-fsck-") as place:
                for table in snapshot.tables:
                    snapshot.fetch(table, Path(place) / table)
        except (Damaged, ObjectMissing) as error:
            if seq not in list_snapshots(store):
                continue  # it made room for a newer one meanwhile
            if repair:
                keys = [item.key for item in store.list(folder)]
                store.delete([key for key in keys if key.endswith("manifest.json")])
                store.delete(keys)
            yield Problem(
                folder,
                error.message,
                repaired="deleted; `raykqi snapshot` writes a new one" if repair else "",
                hint="Nothing is lost: `raykqi fsck --repair` deletes it.",
            )


def _check_uploads(store: Store, repair: bool) -> Iterable[Problem]:
    for key, what in unreadable_uploads(store):
        if repair:
            store.delete([key])
        yield Problem(
            key,
            what,
            repaired="deleted; `raykqi gc` takes away what came of that upload" if repair else "",
            hint="No data is concerned: whoever sent it uploads again. `raykqi fsck --repair` deletes it.",
        )


class _Trees:
    """The trees that data need, and a listing of the store that is not older: what a push adds comes after both."""

    def __init__(self, store: Store, keeper: IndexKeeper, settings: Settings) -> None:
        self.store = store
        self._settings = settings
        self._keeper = keeper
        self._seen: set[str] = set()
        self.users: dict[str, list[str]] = {}
        self.sizes: dict[str, int] = {}
        self._look()

    def faults(self, tree: str, deep: bool) -> list[Fault]:
        """What is wrong with a tree that is needed still, after everything that was written meanwhile."""
        faults = self._verify(tree, deep)
        for _ in range(LOOKS):
            with suppress(Damaged):  # told of already
                self._keeper.catch_up()
            if not faults or self._looked_at == self._keeper.position.seq:
                break
            self._look()
            if tree not in self.users:
                return []
            faults = self._verify(tree, deep)
        return faults

    def _verify(self, tree: str, deep: bool) -> list[Fault]:
        faults = verify_tree(self.store, tree, deep=deep, known=self.sizes, seen=self._seen)
        if deep and not any(fault.object == tree_key(tree) for fault in faults):
            faults += verify_foreign(self.store, tree, self._settings)
        return faults

    def _look(self) -> None:
        self._looked_at = self._keeper.position.seq
        self.users = {}
        for tree, id_ in self._keeper.sound(lambda: self._keeper.index.rows(_NEEDED)):
            self.users.setdefault(tree, []).append(id_)
        self.sizes = {item.key: item.size for folder in KEPT_FOLDERS for item in self.store.list(folder)}


def _check_trees(trees: _Trees, deep: bool, repair: bool, progress: Progress) -> Iterable[Problem]:
    needed = list(trees.users)
    progress.start("fsck", len(needed), 0)
    for tree in needed:
        for fault in trees.faults(tree, deep):
            aside = repair and _set_aside(trees.store, fault.object, trees.sizes)
            yield Problem(
                fault.object,
                f"{fault.what}; set aside as {set_aside_key(fault.object)}" if aside else fault.what,
                data=tuple(trees.users[tree]),
                paths=fault.paths,
                hint="Import it again, or put it back there."
                if is_external(fault.object)
                else "Push the same files again: what is stored anew serves all data that need it.",
            )
        progress.advance(1, 0)
    progress.finish()


def _set_aside(store: Store, key: str, sizes: dict[str, int]) -> bool:
    """Bad bytes under a good name would keep a new push of the same content from storing it.

    What is good among them can still be read. This mends nothing by itself, so it never counts as repaired.
    """
    if key not in sizes:
        return False
    store.put_stream(set_aside_key(key), store.read(key))
    store.delete([key])
    del sizes[key]
    return True
