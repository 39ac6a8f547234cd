"""The logs of runs for those who follow many at once: readers that begin at any byte, and what wakes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from raykqi.domain.run import ENDED, LIVE, Run
from raykqi.errors import Conflict, DataGone
from raykqi.workspace.run_verbs import NamedRun, RunVerbs

if TYPE_CHECKING:
    from raykqi.execution.log_reader import LogReader

__all__ = ["LogVerbs"]

FOLLOW = 0.2  # seconds between looks where storage tells nobody of changes


class LogVerbs(RunVerbs):
    def log_reader(self, run: NamedRun, *, attempt: int | None = None) -> LogReader:
        """Of the last attempt, or of one. Refused for runs whose logs are gone, and for attempts that never were."""
        from raykqi.execution.log_reader import LogReader

        found = self.run(run)
        number = found.attempt if attempt is None else attempt
        if found.status == "invalidated":
            raise DataGone(
                f"run {found.id} was removed, and its logs with it",
                hint=f"`raykqi run show {found.id}` shows what is still known of it.",
            )
        if not 1 <= number <= found.attempt:
            raise Conflict(
                f"run {found.id} has written nothing yet: it is {found.status}"
                if attempt is None
                else f"run {found.id} has no attempt {attempt}; its last one is {found.attempt}",
                hint=found.reason and f"It waits: {found.reason}.",
            )
        return LogReader(self._store, found.id, number)

    @contextmanager
    def watching_run(self, run: str, attempt: int, changed: Callable[[], None]) -> Iterator[None]:
        """Within a `with` block, `changed` is called in another thread when log or beat may have changed."""
        from raykqi.execution.logs import log_folder
        from raykqi.storage.watching import Watch

        with closing(Watch(self._store, log_folder(run, attempt), changed, poll=FOLLOW)):
            yield

    def is_over(self, run: NamedRun, attempt: int) -> bool:
        """Whether nothing will be added to the log of this attempt."""
        found = self.run(run)
        return found.attempt != attempt or found.status not in LIVE

    def is_begun(self, run: NamedRun) -> Run | None:
        """The run, when it has a log or will never have one."""
        found = self.run(run)
        return found if found.attempt or found.status in ENDED else None
