"""doctor: does this machine reach the workspace well, and what would a careful owner do next?"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Literal

from raykqi.controller.index_keeper import IndexKeeper
from raykqi.domain.upkeep import Finding
from raykqi.errors import Damaged, RaykqiError
from raykqi.journal.snapshot import list_snapshots
from raykqi.opening import Description
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store

__all__ = ["examine"]

PROBE = "tmp/doctor-probe"
LOW_DISK = 1 << 30
MANY_ENTRIES = 5_000


def examine(store: Store, description: Description, keeper: IndexKeeper, settings: Settings) -> list[Finding]:
    checks: list[Callable[[], Iterator[Finding]]] = [
        lambda: _workspace(store, description),
        lambda: _storage(store),
        lambda: _disk(store, settings),
        lambda: _index(keeper),
        lambda: _journal(store, keeper),
        lambda: _collection(keeper),
    ]
    findings: list[Finding] = []
    for check in checks:
        try:
            findings += check()
        except RaykqiError as error:
            findings.append(Finding("storage", "bad", error.message, error.hint))
    return findings


def _workspace(store: Store, description: Description) -> Iterator[Finding]:
    what = f"{store.url}, id {description.id}, format {description.format}, made {description.created:%Y-%m-%d}"
    yield Finding("workspace", "good", what)


def _storage(store: Store) -> Iterator[Finding]:
    began = time.perf_counter()
    store.put(PROBE, b"raykqi")
    store.get(PROBE)
    store.delete([PROBE])
    took = (time.perf_counter() - began) * 1000
    yield Finding("storage", "good", f"can be written, read and deleted ({took:.0f} ms)")
    if store.creates_exclusively:
        yield Finding("fence", "good", "the storage refuses to overwrite: two writers can never both commit")
    else:
        yield Finding(
            "fence",
            "warning",
            "the storage overwrites silently: a lease object keeps two writers apart",
            "Use storage that honours If-None-Match where several machines write.",
        )


def _disk(store: Store, settings: Settings) -> Iterator[Finding]:
    root = store.local_path("journal")
    place = root.parent if root else settings.cache_dir
    existing = next((folder for folder in (place, *place.parents) if folder.exists()), None)
    if existing is None:
        return
    free = shutil.disk_usage(existing).free
    state: Literal["good", "warning"] = "good" if free > LOW_DISK else "warning"
    yield Finding(
        "disk", state, f"{free / (1 << 30):.1f} GiB free at {existing}", "" if free > LOW_DISK else "Free some."
    )


def _index(keeper: IndexKeeper) -> Iterator[Finding]:
    position = keeper.position
    behind = datetime.now(UTC) - position.time
    if behind.total_seconds() < -60:
        yield Finding(
            "clock",
            "warning",
            f"the last change is {-behind.total_seconds():.0f} s in the future of this machine's clock",
            "Set the clock; times in the journal go on from the last one meanwhile.",
        )
    where = keeper.index.path or "memory"
    yield Finding(
        "index", "good", f"at entry {position.seq} with {position.data} data and {position.runs} runs, in {where}"
    )


def _journal(store: Store, keeper: IndexKeeper) -> Iterator[Finding]:
    try:
        keeper.catch_up()
    except Damaged as error:
        yield Finding("journal", "bad", error.message, error.hint or "`raykqi fsck` says what is affected.")
        return
    snapshots = list_snapshots(store)
    since = keeper.position.seq - (snapshots[-1] if snapshots else 0)
    if since > MANY_ENTRIES:
        hint = "`raykqi snapshot` and `raykqi compact` make opening on another machine quick."
        yield Finding("journal", "warning", f"{since} entries since the last snapshot", hint)
    else:
        yield Finding("journal", "good", f"{since} entries since the last snapshot, {len(snapshots)} snapshots kept")


def _collection(keeper: IndexKeeper) -> Iterator[Finding]:
    (count,) = keeper.index.rows("SELECT count(*) FROM condemned")[0]
    if count:
        yield Finding("gc", "warning", f"a collection of {count} objects was interrupted", "`raykqi gc` ends it.")
