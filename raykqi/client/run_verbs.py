"""Runs over HTTP: what there is, what they say, and waiting for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from typing import cast

import msgspec

from raykqi.client.asking import Asking, check_limit, moment_text, paged
from raykqi.client.filtering import filter_params
from raykqi.client.logs import follow_log, read_log
from raykqi.client.sse import Subscription
from raykqi.client.transport import Params
from raykqi.domain.beat import Beat, BeatFile
from raykqi.domain.data import Named, id_of
from raykqi.domain.filter_text import parse_filters
from raykqi.domain.ids import is_id
from raykqi.domain.plan import Plan
from raykqi.domain.run import ENDED, LIVE, STATUSES, Run, RunPage, RunQuery, RunStatus
from raykqi.domain.tags import instant_of
from raykqi.domain.text import check_text
from raykqi.errors import Conflict, InvalidInput, InvalidQuery

__all__ = ["RunVerbs"]

NamedRun = str | Run
WAIT_STEP = 1.0  # between looks for a change that nobody told of
OPEN: tuple[RunStatus, ...] = ("waiting", "ready", *LIVE)


class Counted(msgspec.Struct, frozen=True):
    count: int
    by_status: dict[str, int] = {}


class RunVerbs(Asking):
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
        check_limit(limit)

        def ask(most: int, cursor: str) -> tuple[Sequence[Run], str]:
            page = self.run_page(query, limit=most, cursor=cursor)
            return page.items, page.next_cursor

        return list(paged(ask, limit))

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
            plans=tuple(id_ for each in plans for id_ in self._plans_meant(each)),
            inputs=tuple(self._that_was(each) for each in inputs),
            outputs=tuple(self._that_was(each) for each in outputs),
            statuses=statuses,
            since=instant_of(since),
            until=instant_of(until),
            filters=parse_filters("runs", filters),
            project=self._project,
            oldest_first=oldest_first,
        )

    def run_page(self, query: RunQuery, *, limit: int = 50, cursor: str = "") -> RunPage:
        """One page; its `next_cursor` asks for the next, and is empty at the end."""
        params = [*_asked(query), ("limit", limit), ("cursor", cursor or None)]
        return self._transport.get(self._path("runs"), RunPage, params)

    def count_runs(self, query: RunQuery) -> int:
        """How many runs there are."""
        return self._transport.get(self._path("runs", "count"), Counted, _asked(query)).count

    def count_by_status(
        self, *statuses: RunStatus, plan: str | Plan | Iterable[str | Plan] = (), since: datetime | str | None = None
    ) -> dict[str, int]:
        """How many runs there are of these states, or of each one."""
        query = self.run_query(status=statuses, plan=plan, since=since)
        counted = self._transport.get(self._path("runs", "count"), Counted, _asked(query)).by_status
        return {status: counted[status] for status in statuses or STATUSES if counted.get(status)}

    def statuses(self, runs: NamedRun | Sequence[NamedRun]) -> dict[str, str]:
        """How far these runs have come, by their ids."""
        return self._statuses(self._whole_runs(runs))

    def run(self, run: NamedRun) -> Run:
        """Everything known about one run."""
        return self._transport.get(self._path("runs", self._whole_run(run)), Run)

    def beat(self, run: NamedRun) -> Beat | None:
        """How the current attempt is doing: phase, progress, usage, the files it has written. None before it began."""
        there = cast("type[Beat | None]", Beat | None)
        return self._transport.get(self._path("runs", self._whole_run(run), "beat"), there)

    def files(self, run: NamedRun) -> list[BeatFile]:
        """The files in its outputs: those written so far while it runs, those that were kept when it has ended."""
        return self._transport.get(self._path("runs", self._whole_run(run), "files"), list[BeatFile])

    def logs(self, run: NamedRun, *, follow: bool = False, attempt: int | None = None) -> Iterator[bytes]:
        """What it wrote to stdout and stderr, in pieces; with `follow`, on until the attempt has ended."""
        path = self._path("runs", self._whole_run(run), "log")
        params: Params = [("attempt", attempt)]
        return (follow_log if follow else read_log)(self._transport, path, params)

    # Changes

    def stop(self, runs: NamedRun | Sequence[NamedRun], *, fail: bool = False) -> list[Run]:
        """End them; what they have made so far counts as done, unless they shall `fail`."""
        body = {"runs": self._whole_runs(runs), "fail": fail}
        return self._transport.ask("POST", self._path("runs", "stop"), list[Run], body=body)

    def retry(self, runs: NamedRun | Sequence[NamedRun]) -> list[Run]:
        """Run them again, on the same data; what they had made gives way to what comes."""
        body = {"runs": self._whole_runs(runs)}
        return self._transport.ask("POST", self._path("runs", "retry"), list[Run], body=body)

    def remove_runs(self, runs: NamedRun | Sequence[NamedRun], reason: str = "") -> list[str]:
        """Remove what they made. Their assignments never run again; lineage keeps tombstones. Their ids."""
        body = {"runs": self._whole_runs(runs), "reason": check_text(reason, "reason")}
        return self._transport.ask("POST", self._path("runs", "remove"), list[str], body=body)

    # Waiting

    def wait(
        self,
        runs: NamedRun | Sequence[NamedRun] | None = None,
        *,
        until: Iterable[RunStatus] = ENDED,
        timeout: float | None = None,
        tick: Callable[[], None] | None = None,
    ) -> list[Run]:
        """Until the runs have ended (all there are, when none are named). Raises TimeoutError when the time is over.

        Somebody has to run them: `raykqi up` or a controller on a cluster.
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
                    left = self.count_runs(RunQuery(statuses=OPEN))
                else:
                    left = sum(status not in wanted for status in self._statuses(ids).values())
                if not left:
                    return [self.run(id_) for id_ in ids] if ids is not None else []
                if tick:
                    tick()
                rest = WAIT_STEP if deadline is None else min(WAIT_STEP, deadline - time.monotonic())
                if rest <= 0:
                    raise TimeoutError(f"after {timeout:g} s {left} of the runs had not come so far")
                changed.wait(rest)

    @contextmanager
    def watching(self, changed: Callable[[], None]) -> Iterator[None]:
        """Within a `with` block, `changed` is called in another thread when the workspace may have changed."""
        with closing(Subscription(self._transport, self._path("events"), changed)):
            yield

    # Inside

    def _refuse_to_wait_for(self, ids: Sequence[str]) -> None:
        """A run whose plan is switched off would be waited for without end."""
        for id_, status in self._statuses(ids).items():
            if status == "deactivated":
                run = self.run(id_)
                raise Conflict(
                    f"run {id_} does not start: its plan {run.title} is inactive",
                    hint=f"`raykqi plan activate {run.plan}` lets it.",
                )

    def _statuses(self, ids: Sequence[str]) -> dict[str, str]:
        return self._transport.ask("POST", self._path("runs", "statuses"), dict[str, str], body={"runs": ids})

    def _plans_meant(self, plan: str | Plan) -> list[str]:
        """The server makes ids of names: a name means all plans that have it."""
        return [plan.id if isinstance(plan, Plan) else check_text(plan, "plan")]

    def _that_was(self, data: Named) -> str:
        found = id_of(data)
        return found if is_id(found) else self._asked(found, "data")

    def _whole_run(self, run: NamedRun) -> str:
        return run.id if isinstance(run, Run) else self._whole(run, "run")

    def _whole_runs(self, runs: NamedRun | Sequence[NamedRun]) -> tuple[str, ...]:
        named = [runs] if isinstance(runs, NamedRun) else list(runs)
        if not named:
            raise InvalidInput("no runs were named", hint="Give at least one id.")
        return tuple(dict.fromkeys(self._whole_run(run) for run in named))


def _asked(query: RunQuery) -> list[tuple[str, str | int | None]]:
    return [
        *(("plan", plan) for plan in query.plans),
        *(("input", data) for data in query.inputs),
        *(("output", data) for data in query.outputs),
        *(("status", status) for status in query.statuses),
        ("since", moment_text(query.since)),
        ("until", moment_text(query.until)),
        *filter_params(query.filters),
        ("order", "oldest" if query.oldest_first else None),
    ]
