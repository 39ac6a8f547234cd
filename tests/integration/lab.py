"""A lab: a workspace on this machine that tests open, close, break and open again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from raykqi.domain.ids import Clock
from raykqi.opening import Parts, open_parts
from raykqi.settings import Settings
from raykqi.workspace import Workspace
from tests.comparison import assert_equals_journal

__all__ = ["Anywhere", "Lab", "Opened", "SteppedClock", "check"]


class Opened(NamedTuple):
    """A workspace, and the parts that it is made of."""

    ws: Workspace
    parts: Parts


Anywhere = Callable[[Opened], Opened]


class SteppedClock:
    """Goes on by a millisecond each time it is looked at, and can be set."""

    def __init__(self, start: datetime = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)) -> None:
        self._now = start

    def now(self) -> datetime:
        self._now += timedelta(milliseconds=1)
        return self._now

    def jump(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


@dataclass
class Lab:
    url: str
    settings: Settings
    folder: Path
    opened: list[Opened] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return Path(self.url)

    @property
    def index_file(self) -> Path:
        return self.root / "index" / "0.duckdb"

    def open(self, *, clock: Clock | None = None, user: str = "") -> Opened:
        settings = replace(self.settings, user=user) if user else self.settings
        parts = open_parts(self.url, settings, clock=clock)
        opened = Opened(Workspace(parts, settings), parts)
        self.opened.append(opened)
        return opened

    def close(self) -> None:
        while self.opened:
            self.opened.pop().ws.close()

    def reopen(self) -> Opened:
        self.close()
        return self.open()

    def files(self, name: str, content: Mapping[str, bytes]) -> Path:
        """A source directory with these files."""
        folder = self.folder / "sources" / name
        for path, data in content.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def check(opened: Opened, *, deep: bool = False) -> None:
    """What must hold after whatever happened: nothing to complain of, and the journal makes the same index."""
    report = opened.ws.fsck(deep=deep)
    assert report.problems == ()
    assert_equals_journal(opened.parts.keeper.index, opened.parts.store)
