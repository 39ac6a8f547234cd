"""A push from end to end: bytes into the store, then the record of it, again if a collection came between."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from raykqi.catalog.facts import is_collecting
from raykqi.catalog.quotas import load_storage, quotas_of
from raykqi.controller.writer import Writer
from raykqi.domain.data import Data, TreeRef, Upstream
from raykqi.domain.events import RunInput, RunRecorded
from raykqi.domain.tags import Tag
from raykqi.engine.commands import NewOutput, RecordRun
from raykqi.engine.decide import no_room
from raykqi.errors import ObjectMissing, UploadStale
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store
from raykqi.storage.progress import Progress

__all__ = ["IMPORTED", "UPLOADED", "Upload"]

UPLOADED = "raykqi#uploaded"
IMPORTED = "raykqi#imported"
CODE = "raykqi#code"
# How long an upload waits for a collection that is deleting what it would like to reuse.
PATIENCE = 60.0
# Uploads that move bytes at one moment. More would be no quicker, and the one thread that commits for all
# of them would wait for the interpreter after each of its steps.
STORING = 4
_storing = threading.BoundedSemaphore(STORING)


class Upload:
    """What it records belongs to the project of the settings; `readable` as in `RecordRun`."""

    def __init__(
        self,
        store: Store,
        controller: Writer,
        settings: Settings,
        progress: Progress,
        *,
        readable: frozenset[str] | None = frozenset(),
    ) -> None:
        self._readable = readable
        self._store = store
        self._controller = controller
        self._settings = settings
        self._progress = progress

    def push(
        self,
        source: Path,
        tags: tuple[Tag, ...],
        inputs: tuple[RunInput, ...],
        *,
        dereference: bool = False,
        staged: bool = False,
    ) -> Data:
        """What is `staged` nobody else has or will write to."""
        from raykqi.storage.push import push_tree

        def store() -> tuple[TreeRef, frozenset[str]]:
            pushed = push_tree(
                self._store,
                source,
                settings=self._settings,
                progress=self._progress,
                dereference=dereference,
                staged=staged,
            )
            return pushed.tree, pushed.reused

        return self._record(UPLOADED, "/upload", store, tags, inputs)

    def store_only(self, source: Path) -> TreeRef:
        """The bytes alone, to see whether data with this content is there already."""
        from raykqi.storage.push import push_tree

        return push_tree(self._store, source, settings=self._settings, progress=self._progress).tree

    def push_code(self, source: Path, title: str) -> Data:
        """The code of a plan."""
        from raykqi.storage.push import push_tree

        def store() -> tuple[TreeRef, frozenset[str]]:
            pushed = push_tree(self._store, source, settings=self._settings, progress=self._progress)
            return pushed.tree, pushed.reused

        return self._record(CODE, "/code", store, (Tag("type", "code"), Tag("name", title)), ())

    def import_(self, url: str, tags: tuple[Tag, ...]) -> Data:
        from raykqi.storage.importing import import_objects
        from raykqi.storage.push import push_listing

        def store() -> tuple[TreeRef, frozenset[str]]:
            tree = import_objects(url, settings=self._settings, progress=self._progress)
            pushed = push_listing(self._store, tree)
            return pushed.tree, pushed.reused

        return self._record(IMPORTED, "/imported", store, tags, ())

    def _record(
        self,
        plan: str,
        output: str,
        store: Callable[[], tuple[TreeRef, frozenset[str]]],
        tags: tuple[Tag, ...],
        inputs: tuple[RunInput, ...],
    ) -> Data:
        deadline = float("inf")
        self._controller.refresh()
        self._refuse_when_full()
        while True:
            generation = self._controller.keeper.position.generation
            try:
                with _storing:
                    tree, reused = store()
                command = RecordRun(
                    by=self._settings.user,
                    plan=plan,
                    outputs=(NewOutput(output, tree, tags),),
                    inputs=inputs,
                    reused=reused | self._endangered(tree),
                    generation=generation,
                    project=self._settings.project,
                    readable=self._readable,
                )
                (event,) = self._controller.submit(command)
            except (UploadStale, ObjectMissing) as error:
                if isinstance(error, ObjectMissing) and not self._is_collecting(generation):
                    raise
                # Patience begins at the first refusal: what came before was the transfer.
                deadline = min(deadline, time.monotonic() + PATIENCE)
                if time.monotonic() > deadline:
                    hint = "Push again; if a collection was interrupted, `raykqi gc` ends it."
                    raise UploadStale(f"a collection is deleting what this upload needs: {error}", hint=hint) from error
                self._controller.wait_for_change(generation)
                continue
            assert isinstance(event, RunRecorded)
            return _data(event)

    def _refuse_when_full(self) -> None:
        """Before bytes are sent in vain; whether there is room for them all is known when they are recorded."""
        keeper, project = self._controller.keeper, self._settings.project
        if project not in keeper.remembered(quotas_of, keeper.latest.deeds):
            return
        storage = keeper.sound(lambda: load_storage(keeper.index, {project: {}})).get(project)
        if storage and storage.held >= storage.limit:
            raise no_room(project, storage, "nothing more is taken in")

    def _endangered(self, tree: TreeRef) -> frozenset[str]:
        """While a collection deletes objects by name, it also hits those that this upload has just written anew."""
        from raykqi.storage.trees import read_tree, tree_key

        keeper = self._controller.keeper
        if not keeper.remembered(is_collecting, keeper.latest.generation):
            return frozenset()
        return frozenset((tree_key(tree.hash), *read_tree(self._store, tree.hash).objects()))

    def _is_collecting(self, generation: int) -> bool:
        keeper = self._controller.keeper
        self._controller.refresh()
        return keeper.position.generation != generation or is_collecting(keeper.index)


def _data(event: RunRecorded) -> Data:
    (output,) = event.outputs
    return Data(
        id=output.data,
        project=event.project,
        status="done",
        created=event.at,
        timestamp=event.at,
        creator=event.by,
        tree=output.tree,
        upstream=Upstream(event.run, event.plan, output.name),
        tags=output.tags,
    )
