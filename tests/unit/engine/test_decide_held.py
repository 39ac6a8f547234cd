"""Decisions about runs that hooks hold: `ready` before they start, `aborting` before they fail, and why they stay."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from raykqi.catalog.facts import Facts
from raykqi.catalog.run_facts import PlanFacts, RunFacts
from raykqi.domain.events import Event, RunHeld, RunsMoved, RunsRequeued
from raykqi.domain.ids import IdMaker, SystemClock
from raykqi.domain.order import Attempt, Ended, Lost
from raykqi.domain.plan import Definition, PlanSettings
from raykqi.domain.run import Exit, RunStatus, Stopping
from raykqi.engine import decide_runs  # noqa: F401  it registers its decisions
from raykqi.engine.commands import Command
from raykqi.engine.decide import decide
from raykqi.engine.run_commands import EndRun, HoldRun, LoseRun, LoseRuns, MoveRuns, StartRuns, conclude
from raykqi.errors import StaleAttempt

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
FIRST = Attempt("r", 1)
DEFINITION = Definition(inputs=(), outputs=())


def known(status: RunStatus, *, attempt: int = 1, stopping: Stopping = "", active: bool = True) -> Facts:
    facts = Facts({}, generation=3, condemned=frozenset())
    facts.runs = {"r": RunFacts("r", "p", "default", status, attempt, 0, stopping)}
    facts.plans = {"p": PlanFacts("p", "default", DEFINITION, PlanSettings(active=active), "")}
    return facts


def decided(command: Command, facts: Facts) -> list[Event]:
    return decide(command, facts, NOW, IdMaker(SystemClock()))


def test_a_run_becomes_ready_with_a_new_attempt_and_then_starts_with_its_executor() -> None:
    facts = known("waiting", attempt=0)

    assert decided(StartRuns("raykqi", ("r",), "", "ready"), facts) == [RunsMoved(NOW, "raykqi", "ready", (FIRST,))]
    assert decided(MoveRuns("raykqi", "starting", (FIRST,), executor="here"), facts) == [
        RunsMoved(NOW, "raykqi", "starting", (FIRST,), executor="here")
    ]


@pytest.mark.parametrize("status", ["starting", "running", "completing"])
def test_what_goes_on_can_be_aborting(status: RunStatus) -> None:
    moved = decided(MoveRuns("raykqi", "aborting", (FIRST,)), known(status))

    assert moved == [RunsMoved(NOW, "raykqi", "aborting", (FIRST,))]


def test_what_a_user_stops_is_not_moved_by_others() -> None:
    assert decided(MoveRuns("raykqi", "aborting", (FIRST,)), known("completing", stopping="stop")) == []


def test_why_a_run_stays_is_said_only_while_it_stays() -> None:
    hold = HoldRun("raykqi", FIRST, "starting", "hook said no")

    assert decided(hold, known("starting")) == [RunHeld(NOW, "r", 1, "hook said no")]
    assert decided(hold, known("running")) == []
    assert decided(hold, known("starting", attempt=2)) == []


@pytest.mark.parametrize(("active", "status"), [(True, "waiting"), (False, "deactivated")])
def test_what_was_only_ready_waits_again_however_often(active: bool, status: RunStatus) -> None:
    attempt = Attempt("r", 50)
    again = [RunsRequeued(NOW, "raykqi", (attempt,), "closed", status)]

    assert decided(LoseRun("raykqi", attempt, "closed"), known("ready", attempt=50, active=active)) == again
    assert decided(LoseRuns("raykqi", (attempt,), "closed"), known("ready", attempt=50, active=active)) == again


def test_what_is_ready_has_no_end_yet() -> None:
    with pytest.raises(StaleAttempt, match="the run is ready in attempt 1"):
        decided(EndRun("raykqi", Ended(FIRST, Exit(0), generation=3)), known("ready"))


def test_each_report_of_an_end_has_its_command() -> None:
    ended = Ended(FIRST, Exit(0))

    assert conclude("raykqi", ended) == EndRun("raykqi", ended)
    assert conclude("raykqi", Lost(FIRST, "gone", True)) == LoseRun("raykqi", FIRST, "gone", True)
