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
    from cli.session import Session
    from raykqi.domain.run import Run
    from raykqi.workspace import Workspace

__all__ = ["RunNews"]

TOLD: tuple[RunStatus, ...] = ("waiting", *LIVE, *ENDED)
SINGLY = 40  # more changes than this in one look are told as counts


class RunNews:
    """Of all projects. `counts` says how many have ended how since the beginning."""

    def __init__(self, session: Session, workspace: Workspace, line: LiveLine) -> None:
        self.counts: Counter[str] = Counter()
        self._session = session
        self._workspace = workspace
        self._line = line
        self._since = datetime.now(UTC)
        self._seen: dict[str, tuple[str, int]] = {}

    def look(self) -> None:
        """Tell what is new. A run is told of when it starts, when it has to wait again, and when it ends."""
        changed = [run for each in self.projects() for run in each.runs(status=TOLD, since=self._since)]
        news = [run for run in sorted(changed, key=lambda run: run.updated) if self._is_new(run)]
        for run in news:
            self.counts[run.status] += run.status in ENDED
        if news:
            self._line.clear()
            self._tell(news)
        if changed:
            latest = max(run.updated for run in changed)
            if latest > self._since:
                self._since = latest
                recent = {run.id for run in changed if run.updated >= latest}
                self._seen = {id_: seen for id_, seen in self._seen.items() if id_ in recent or seen[0] not in ENDED}
        if self._line.is_seen:
            self._line.show(self._summary())

    def projects(self) -> list[Workspace]:
        """The workspace as it is seen in each of its projects."""
        user = self._workspace.me().user
        return [self._workspace.acting(user=user, project=each.name) for each in self._workspace.projects()]

    def _is_new(self, run: Run) -> bool:
        told = ("live" if run.status in LIVE else run.status, run.attempt)
        before, self._seen[run.id] = self._seen.get(run.id), told
        return told != before and (run.status != "waiting" or run.attempt > 0)

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
        for each in self.projects():
            now.update(each.count_by_status(*LIVE, "waiting"))
        return show_counts(dict(self.counts) | dict(now))


def _word(run: Run) -> str:
    return "started" if run.status in LIVE else "again" if run.status == "waiting" else run.status


def _clock(moment: datetime) -> str:
    return moment.astimezone().strftime("%H:%M:%S")
