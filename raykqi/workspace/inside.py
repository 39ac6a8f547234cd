"""What all verbs of a workspace stand on: its parts, reading with an index that is up to date, and doing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from raykqi.catalog import queries
from raykqi.controller.uploading import Upload
from raykqi.domain.access import check_project
from raykqi.domain.data import Named, id_of
from raykqi.domain.ids import is_id
from raykqi.domain.tags import check_key, check_tags, parse_tags
from raykqi.engine.commands import ChangeTags, Command
from raykqi.errors import Damaged, InvalidInput
from raykqi.opening import Parts
from raykqi.settings import Settings
from raykqi.storage.progress import Progress, SilentProgress

if TYPE_CHECKING:
    from raykqi.server import Server

__all__ = ["Inside"]

Answer = TypeVar("Answer")


class Inside:
    """Everything is asked and done in the project of the settings.

    Data of `readable` projects may be named as inputs of what is made by hand; None: of all.
    """

    def __init__(self, parts: Parts, settings: Settings, *, readable: frozenset[str] | None = None) -> None:
        self._parts = parts
        self._store, self._description, self._keeper, self._controller = parts
        self._settings = settings
        self._project = check_project(settings.project)
        self._readable = readable
        self._servers: list[Server] = []

    def _upload(self, progress: Progress | None) -> Upload:
        return Upload(
            self._store, self._controller, self._settings, progress or SilentProgress(), readable=self._readable
        )

    def _refresh_if_possible(self) -> None:
        with suppress(Damaged):  # which is what the caller looks into
            self._controller.refresh()

    def _read(self, read: Callable[[], Answer]) -> Answer:
        self._controller.refresh()
        return self._keeper.sound(read)

    def _do(self, command: Command, *, dry_run: bool) -> Sequence[object]:
        return self._controller.preview(command) if dry_run else self._controller.submit(command)

    def _resolve(self, data: Named, *, removed: bool = False) -> str:
        return queries.resolve_data(self._keeper.index, id_of(data), project=self._project, removed=removed)

    def resolve_data(self, prefix: Named) -> str:
        """The whole id of the one data that begins so and was not removed."""
        return self._read(lambda: self._resolve(prefix))

    def resolve(self, prefix: Named) -> str:
        """The whole id of the one data that begins so, else of the one run."""
        return self._read(lambda: queries.resolve_node(self._keeper.index, id_of(prefix), project=self._project))

    def resolve_run(self, prefix: str) -> str:
        """The whole id of the one run that begins so."""
        return self._read(lambda: queries.resolve_run(self._keeper.index, prefix, project=self._project))

    def _resolve_all(self, data: Named | Sequence[Named]) -> tuple[str, ...]:
        prefixes = [id_of(each) for each in ([data] if isinstance(data, Named) else data)]
        if not prefixes:
            raise InvalidInput("no data were named", hint="Give at least one id.")
        # Whether a whole id is there, and in this project, the decision on the command says.
        return tuple(dict.fromkeys(id_ if is_id(id_) else self.resolve_data(id_) for id_ in prefixes))

    def _tag_command(
        self, data: Named | Sequence[Named], add: Iterable[str], remove: Iterable[str], remove_keys: Iterable[str]
    ) -> ChangeTags:
        return ChangeTags(
            by=self._settings.user,
            data=self._resolve_all(data),
            add=parse_tags(add),
            remove=parse_tags(remove),
            remove_keys=tuple(check_key(key) for key in check_tags(remove_keys)),
            project=self._project,
        )
