"""What one does with runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime

import msgspec

from raykqi.catalog import plan_queries, queries, run_queries
from raykqi.domain.beat import Beat, BeatFile
from raykqi.domain.data import Named
from raykqi.domain.filter_text import parse_filters
from raykqi.domain.ids import is_id
from raykqi.domain.plan import Plan
from raykqi.domain.run import ENDED, LIVE, STATUSES, Run, RunPage, RunQuery, RunStatus
from raykqi.domain.tags import instant_of
from raykqi.domain.text import check_text
from raykqi.engine.run_commands import RemoveRuns, RetryRuns, StopRuns
from raykqi.errors import Conflict, DataGone, InvalidInput, InvalidQuery
from raykqi.workspace.serve_verbs import ServeVerbs

__all__ = ["RunVerbs"]

NamedRun = str | Run
WAIT_STEP = 1.0  # between looks for a change that nobody told of


class RunVerbs(ServeVerbs):
    # Questions

    def runs(
        self,
        *,
        status: RunStatus | Iterable[RunStatus] = (),
        plan: str | Plan | Iterable[str | Plan] = (),
        input: Named | Iterable[Named] = (),  # noqa: A002
        output: Named | Iterable[Named] = (),
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        filters: Mapping[str, str | Iterable[str]] | None = None,
        oldest_first: bool = False,
        limit: int | None = None,
    ) -> list[Run]:
        """The runs that meet all conditions, newest first; of several values of one condition any will do."""
        query = self.run_query(
            status=status,
            plan=plan,
            input=input,
            output=output,
            since=since,
            until=until,
            filters=filters,
            oldest_first=oldest_first,
        )
        if limit is not None and limit < 1:
            raise InvalidQuery(f"a list of {limit} is not possible", hint="Ask for 1 or more, or leave it out for all.")
        found: list[Run] = []
        cursor = ""
        while limit is None or len(found) < limit:
            page = self.run_page(query, limit=1_000 if limit is None else min(1_000, limit - len(found)), cursor=cursor)
            found += page.items
            cursor = page.next_cursor
            if not cursor:
                break
        return found

    def run_query(
        self,
        *,
        status: RunStatus | Iterable[RunStatus] = (),
        plan: str | Plan | Iterable[str | Plan] = (),
        input: Named | Iterable[Named] = (),  # noqa: A002
        output: Named | Iterable[Named] = (),
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        filters: Mapping[str, str | Iterable[str]] | None = None,
        oldest_first: bool = False,
    ) -> RunQuery:
        """The conditions of `runs` as a value, for pages and counts."""
        statuses: tuple[RunStatus, ...] = (status,) if isinstance(status, str) else tuple(status)
        for each in statuses:
            if each not in STATUSES:
                raise InvalidQuery(f"no run is ever {each!r}", hint=f"Choose from {', '.join(STATUSES)}.")
        plans = [plan] if isinstance(plan, str | Plan) else list(plan)
        inputs = [input] if isinstance(input, Named) else list(input)
        outputs = [output] if isinstance(output, Named) else list(output)
        return RunQuery(
            plans=tuple(self._read(lambda: [id_ for each in plans for id_ in self._plans_meant(each)])),
            inputs=tuple(self._read(lambda: [self._resolve(each, removed=True) for each in inputs])),
            outputs=tuple(self._read(lambda: [self._resolve(each, removed=True) for each in outputs])),
            statuses=statuses,
            since=instant_of(since),
            until=instant_of(until),
            project=self._project,
            oldest_first=oldest_first,
            filters=parse_filters("runs", filters),
        )

    def run_page(self, query: RunQuery, *, limit: int = 50, cursor: str = "") -> RunPage:
        """One page; its `next_cursor` asks for the next, and is empty at the end."""
        own = msgspec.structs.replace(query, project=self._project)
        return self._read(lambda: run_queries.find_runs(self._keeper.index, own, limit=limit, cursor=cursor))

    def count_runs(self, query: RunQuery) -> int:
        """How many runs there are."""
        own = msgspec.structs.replace(query, project=self._project)
        return self._read(lambda: run_queries.count_runs(self._keeper.index, own))

    def count_by_status(
        self, *statuses: RunStatus, plan: str | Plan | Iterable[str | Plan] = (), since: datetime | str | None = None
    ) -> dict[str, int]:
        """How many runs there are of these states, or of each one."""
        queries = {status: self.run_query(status=status, plan=plan, since=since) for status in statuses or STATUSES}
        return {status: count for status, query in queries.items() if (count := self.count_runs(query))}

    def statuses(self, runs: NamedRun | Sequence[NamedRun]) -> dict[str, str]:
        """How far these runs have come, by their ids."""
        ids = self._whole_runs(runs)
        return self._statuses(ids)

    def run(self, run: NamedRun) -> Run:
        """Everything known about one run."""
        index, project = self._keeper.index, self._project
        return self._read(lambda: run_queries.get_runs(index, [self._whole_run(run)], project=project)[0])

    def beat(self, run: NamedRun) -> Beat | None:
        """How the current attempt is doing: phase, progress, usage, the files it has written. None before it began."""
        from raykqi.execution.beat import read_beat

        found = self.run(run)
        return read_beat(self._store, found.id, found.attempt) if found.attempt else None

    def files(self, run: NamedRun) -> list[BeatFile]:
        """The files in its outputs: those written so far while it runs, those that were kept when it has ended."""
        from raykqi.storage.trees import read_tree

        found = self.run(run)
        if found.status not in ENDED:
            beat = self.beat(found)
            return list(beat.files) if beat else []
        listed: list[BeatFile] = []
        made = self._read(lambda: queries.get_data(self._keeper.index, [output.data for output in found.outputs]))
        for output, data in zip(found.outputs, made, strict=True):
            if data.tree.hash and data.status in ("done", "failed"):
                tree = read_tree(self._store, data.tree.hash)
                listed += [BeatFile(output.name, entry.path, entry.size) for entry in tree if entry.kind != "dir"]
        return listed

    def logs(self, run: NamedRun, *, follow: bool = False, attempt: int | None = None) -> Iterator[bytes]:
        """What it wrote to stdout and stderr, in pieces; with `follow`, on until the attempt has ended."""
        from raykqi.execution.logs import follow_log, read_log

        found = self.run(run)
        if found.status == "invalidated":
            raise DataGone(
                f"run {found.id} was removed, and its logs with it",
                hint=f"`raykqi run show {found.id}` shows what is still known of it.",
            )
        number = found.attempt if attempt is None else attempt
        if number < 1 or number > found.attempt:
            if attempt is None and follow:
                self.wait(found, until=("starting", "running", "completing", "aborting", *ENDED))
                return self.logs(found, follow=True, attempt=1) if self.run(found).attempt else iter(())
            raise Conflict(
                f"run {found.id} has written nothing yet: it is {found.status}"
                if attempt is None
                else f"run {found.id} has no attempt {attempt}; its last one is {found.attempt}",
                hint=found.reason and f"It waits: {found.reason}.",
            )
        if not follow:
            return read_log(self._store, found.id, number)

        def is_over() -> bool:
            now = self.run(found)
            return now.attempt != number or now.status not in LIVE

        return follow_log(self._store, found.id, number, done=is_over)

    # Changes

    def stop(self, runs: NamedRun | Sequence[NamedRun], *, fail: bool = False) -> list[Run]:
        """End them; what they have made so far counts as done, unless they shall `fail`."""
        ids = self._whole_runs(runs)
        self._controller.submit(StopRuns(self._settings.user, ids, fail, self._project))
        return self._runs(ids)

    def retry(self, runs: NamedRun | Sequence[NamedRun]) -> list[Run]:
        """Run them again, on the same data; what they had made gives way to what comes."""
        ids = self._whole_runs(runs)
        self._controller.submit(RetryRuns(self._settings.user, ids, self._project))
        return self._runs(ids)

    def remove_runs(self, runs: NamedRun | Sequence[NamedRun], reason: str = "") -> list[str]:
        """Remove what they made. Their assignments never run again; lineage keeps tombstones. Their ids."""
        ids = self._whole_runs(runs)
        self._controller.submit(RemoveRuns(self._settings.user, ids, check_text(reason, "reason"), self._project))
        for id_ in ids:
            self._store.delete([found.key for found in self._store.list(f"logs/{id_}/")])
        return list(ids)

    # Waiting and working

    def wait(
        self,
        runs: NamedRun | Sequence[NamedRun] | None = None,
        *,
        until: Iterable[RunStatus] = ENDED,
        timeout: float | None = None,
        tick: Callable[[], None] | None = None,
    ) -> list[Run]:
        """Until the runs have ended (all there are, when none are named). Raises TimeoutError when the time is over.

        Somebody has to run them: `raykqi up`, `raykqi work`, or `work` in this process.
        """
        wanted = set(until)
        deadline = None if timeout is None else time.monotonic() + timeout
        ids = self._whole_runs(runs) if runs is not None else None
        if ids is not None and "deactivated" not in wanted:
            self._refuse_to_wait_for(ids)
        changed = threading.Event()
        with self.watching(changed.set):
            while True:
                changed.clear()
                if ids is None:
                    open_query = RunQuery(statuses=("waiting", "ready", *LIVE))
                    left = self.count_runs(open_query)
                else:
                    left = sum(status not in wanted for status in self._statuses(ids).values())
                if not left:
                    return self._runs(ids) if ids is not None else []
                if tick:
                    tick()
                rest = WAIT_STEP if deadline is None else min(WAIT_STEP, deadline - time.monotonic())
                if rest <= 0:
                    raise TimeoutError(f"after {timeout:g} s {left} of the runs had not come so far")
                changed.wait(rest)

    def _refuse_to_wait_for(self, ids: Sequence[str]) -> None:
        """A run whose plan is switched off would be waited for without end."""
        for id_, status in self._statuses(ids).items():
            if status == "deactivated":
                (run,) = self._runs([id_])
                raise Conflict(
                    f"run {id_} does not start: its plan {run.title} is inactive",
                    hint=f"`raykqi plan activate {run.plan}` lets it.",
                )

    @contextmanager
    def watching(self, changed: Callable[[], None]) -> Iterator[None]:
        """Within a `with` block, `changed` is called in another thread when the workspace may have changed."""
        from raykqi.storage.watching import Watch

        with closing(Watch(self._store, "journal", changed)):
            yield

    def _plans_meant(self, plan: str | Plan) -> list[str]:
        """A name means all plans that have it: the repaired one and the one before."""
        if isinstance(plan, Plan):
            return [plan.id]
        index, project = self._keeper.index, self._project
        named = plan_queries.named_plans(index, plan, project=project)
        return named or [plan_queries.resolve_plan(index, plan, project=project)]

    def _runs(self, ids: Sequence[str]) -> list[Run]:
        return self._read(lambda: run_queries.get_runs(self._keeper.index, ids, project=self._project))

    def _statuses(self, ids: Sequence[str]) -> dict[str, str]:
        return self._read(lambda: run_queries.statuses_of(self._keeper.index, ids, project=self._project))

    def _whole_run(self, run: NamedRun) -> str:
        if isinstance(run, Run):
            return run.id
        # Whether a whole id is there, and in this project, whatever asks next says.
        return run if is_id(run) else queries.resolve_run(self._keeper.index, run, project=self._project)

    def _whole_runs(self, runs: NamedRun | Sequence[NamedRun]) -> tuple[str, ...]:
        named = [runs] if isinstance(runs, NamedRun) else list(runs)
        if not named:
            raise InvalidInput("no runs were named", hint="Give at least one id.")
        return tuple(dict.fromkeys(self._read(lambda: [self._whole_run(run) for run in named])))
