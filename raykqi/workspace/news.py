"""What has been committed, as it happens or since some entry, told apart by project."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import chain

import msgspec

from raykqi.catalog import belonging
from raykqi.catalog.redaction import pseudonym
from raykqi.domain.access_events import AccessEvent
from raykqi.domain.commit import Commit
from raykqi.domain.endpoint_events import EndpointEvent
from raykqi.domain.events import (
    BacklogChanged,
    DataPurged,
    DataRemoved,
    Event,
    ObjectsCollected,
    ObjectsCondemned,
    PlanChanged,
    PlanHeld,
    RunInput,
    RunRecorded,
    RunsMoved,
    RunsRequeued,
    TagsChanged,
)
from raykqi.domain.order import Attempt
from raykqi.engine.commands import ChangeTags
from raykqi.journal.codec import Entry
from raykqi.opening import DESCRIPTION_KEY
from raykqi.workspace.inside import Inside

__all__ = ["NewsVerbs"]

READY_WITHIN = 5.0  # seconds

_OF_DATA = (TagsChanged, DataPurged, DataRemoved)
_OF_PLANS = (PlanChanged, BacklogChanged, PlanHeld)
_OF_ENDPOINTS = EndpointEvent.__args__
_OF_SEVERAL = (RunsMoved, RunsRequeued)
_OF_NONE = (ObjectsCondemned, ObjectsCollected, *AccessEvent.__args__)


class NewsVerbs(Inside):
    @property
    def seq(self) -> int:
        """The entry of the journal up to which is known here what was done."""
        return self._keeper.latest.seq

    @property
    def deeds(self) -> int:
        """How often anything was done by which somebody's rights may have changed, as far as is known here."""
        return self._keeper.latest.deeds

    def refresh(self) -> int:
        """Learn what was committed, also by a commit that is under way; the entry up to which that is."""
        self._keeper.catch_up()
        return self.seq

    def reach(self, seq: int, timeout: float) -> bool:
        """Wait until entry `seq` is known here; whether it is in time."""
        return self._controller.reach(seq, timeout)

    def check_ready(self) -> None:
        """Raises what keeps it from working: storage or controller that do not answer, an index out of step."""
        self._store.exists(DESCRIPTION_KEY)
        self.refresh()
        self._keeper.sound(self._keeper.index.position)
        nothing = ChangeTags(self._settings.user, (), project=self._project)
        self._controller.submit_later(nothing).result(READY_WITHIN)

    def count_everywhere(self) -> list[tuple[str, str, int]]:
        """How many runs of which project are in which status, for those who look after the workspace."""
        return self._read(lambda: belonging.count_runs_everywhere(self._keeper.index))

    def commits(self, after: int = 0) -> Iterator[Commit]:
        """What was committed in this project since entry `after`, oldest first, up to now."""
        for told in self.commits_by_project(after):
            if commit := told.get(self._project):
                yield commit

    def commits_by_project(self, after: int = 0) -> Iterator[dict[str, Commit]]:
        """Of each entry since `after` that is known here: what it changed in which project."""
        until = self.seq
        for entry in self._keeper.journal.read(after):
            if entry.seq > until:
                return
            shares = self._keeper.sound(partial(self._shares, entry))
            yield {project: Commit(entry.seq, entry.time, tuple(events)) for project, events in shares.items()}

    def _shares(self, entry: Entry) -> dict[str, list[Event]]:
        events = [event for event in entry.events if not isinstance(event, _OF_NONE)]
        data = belonging.projects_of(self._keeper.index, "data", _ids(events, _OF_DATA, "data"))
        plans = belonging.projects_of(self._keeper.index, "plan", _ids(events, _OF_PLANS, "plan"))
        endpoints = belonging.projects_of(self._keeper.index, "endpoint", _ids(events, _OF_ENDPOINTS, "endpoint"))
        runs = belonging.projects_of(
            self._keeper.index,
            "run",
            chain(
                filter(None, (_run_of(event) for event in events)),
                (each.run for event in events if isinstance(event, _OF_SEVERAL) for each in event.runs),
            ),
        )
        taken = (given.data for event in events if isinstance(event, RunRecorded) for given in event.inputs)
        inputs = belonging.projects_of(self._keeper.index, "data", taken)
        shares: defaultdict[str, list[Event]] = defaultdict(list)
        for event in events:
            if isinstance(event, _OF_SEVERAL):
                for project, its in _by_project(event.runs, runs).items():
                    shares[project].append(msgspec.structs.replace(event, runs=tuple(its)))
                continue
            if isinstance(event, _OF_DATA):
                project = data.get(event.data, "")
            elif isinstance(event, _OF_PLANS):
                project = plans.get(event.plan, "")
            elif isinstance(event, _OF_ENDPOINTS):
                project = endpoints.get(event.endpoint, "")
            else:
                project = getattr(event, "project", "") or runs.get(_run_of(event), "")
            if project:
                shares[project].append(self._told(event, project, inputs))
        return shares

    def _told(self, event: Event, project: str, inputs: Mapping[str, str]) -> Event:
        """What was made of data of another project names it as lineages do."""
        if not isinstance(event, RunRecorded) or all(inputs.get(given.data) == project for given in event.inputs):
            return event
        shown = (
            given
            if inputs.get(given.data) == project
            else RunInput(given.name, pseudonym(self._description.id, project, given.data))
            for given in event.inputs
        )
        return msgspec.structs.replace(event, inputs=tuple(shown))


def _ids(events: Iterable[Event], kinds: tuple[type, ...], name: str) -> Iterator[str]:
    return (getattr(event, name) for event in events if isinstance(event, kinds))


def _run_of(event: Event) -> str:
    run = getattr(event, "run", "")
    return run if isinstance(run, str) else ""


def _by_project(attempts: Iterable[Attempt], projects: dict[str, str]) -> dict[str, list[Attempt]]:
    found: defaultdict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        found[projects.get(attempt.run, "")].append(attempt)
    found.pop("", None)
    return found
