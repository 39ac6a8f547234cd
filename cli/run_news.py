"""What became of runs since the last look, one line each, for those who run plans."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cli.live import LiveLine
from cli.run_text import STATUS_STYLES, remark_of, run_record, time_of
from cli.run_wait import show_counts
from cli.values import short_ids, show_duration
from raykqi.domain.run import ENDED, LIVE, RunStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.session import Session
    from raykqi.domain.run import Run
    from raykqi.workspace import Workspace

__all__ = ["RunNews"]

TOLD: tuple[RunStatus, ...] = ("waiting", *LIVE, *ENDED)
SINGLY = 40  # more changes than this in one look are told as counts


class RunNews:
    """Of all projects. `counts` says how many have ended how since the beginning.

    Each project is asked for what came since its own last news: a run of one may end, and be younger, after another
    was asked.
    """

    def __init__(self, session: Session, workspace: Workspace, line: LiveLine) -> None:
        self.counts: Counter[str] = Counter()
        self._session = session
        self._workspace = workspace
        self._line = line
        self._begun = datetime.now(UTC)
        self._since: dict[str, datetime] = {}
        self._seen: dict[str, dict[str, tuple[str, int]]] = {}

    def look(self) -> None:
        """Tell what is new. A run is told of when it starts, when it has to wait again, and when it ends."""
        news = sorted((run for each in self.projects() for run in self._news_of(*each)), key=lambda run: run.updated)
        for run in news:
            self.counts[run.status] += run.status in ENDED
        if news:
            self._line.clear()
            self._tell(news)
        if self._line.is_seen:
            self._line.show(self._summary())

    def projects(self) -> Iterator[tuple[str, Workspace]]:
        """The name of each project, and the workspace as it is seen there."""
        user = self._workspace.me().user
        for each in self._workspace.projects():
            yield each.name, self._workspace.acting(user=user, project=each.name)

    def _news_of(self, name: str, project: Workspace) -> list[Run]:
        since, seen = self._since.get(name, self._begun), self._seen.setdefault(name, {})
        changed = project.runs(status=TOLD, since=since)
        news = [run for run in changed if _is_new(run, seen)]
        self._since[name] = latest = max([since, *(run.updated for run in changed)])
        if latest > since:
            recent = {run.id for run in changed if run.updated == latest}
            self._seen[name] = {id_: told for id_, told in seen.items() if id_ in recent or told[0] not in ENDED}
        return news

    def _tell(self, news: list[Run]) -> None:
        if self._session.json:
            for run in news:
                self._session.out.json_line(run_record(run))
            return
        if len(news) > SINGLY:
            for (title, word), count in Counter((run.title, _word(run)) for run in news).items():
                self._session.out.at_once(f"{_clock(datetime.now(UTC))}  {word:8}  {title}  {count:,} runs")
            return
        short = short_ids(run.id for run in news)
        for run in news:
            took = time_of(run)
            spent = show_duration(took) if took is not None and run.status in ENDED else ""
            word = self._session.out.styled(f"{_word(run):8}", STATUS_STYLES.get(run.status, ""))
            remark = remark_of(run) if run.status not in LIVE else ""
            parts = [_clock(run.updated), word, run.title, short[run.id], spent, remark]
            self._session.out.at_once("  ".join(part for part in parts if part))

    def _summary(self) -> str:
        now: Counter[str] = Counter()
        for _, each in self.projects():
            now.update(each.count_by_status(*LIVE, "waiting"))
        return show_counts(dict(self.counts) | dict(now))


def _is_new(run: Run, seen: dict[str, tuple[str, int]]) -> bool:
    """Also notes it in `seen`."""
    told = ("live" if run.status in LIVE else run.status, run.attempt)
    before, seen[run.id] = seen.get(run.id), told
    return told != before and (run.status != "waiting" or run.attempt > 0)


def _word(run: Run) -> str:
    return "started" if run.status in LIVE else "again" if run.status == "waiting" else run.status


def _clock(moment: datetime) -> str:
    return moment.astimezone().strftime("%H:%M:%S")
