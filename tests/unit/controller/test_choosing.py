"""Which waiting runs are next when projects have quotas: nobody waits for the quota of another project."""

from __future__ import annotations

from raykqi.catalog.queue import QueuedPlan
from raykqi.controller.choosing import Candidate, Choosing
from raykqi.domain.access import Quota
from raykqi.domain.order import Attempt, NodeShape
from raykqi.domain.plan import Definition, PlanInput, PlanSettings
from raykqi.domain.resources import Resources
from raykqi.engine.admission import STARVED, Ledger

NODE = NodeShape("node", Resources(cpu=8000, memory=64 << 30, gpu=4000), {})


def plan(name: str, project: str, *, cpu: int = 1000, gpu: int = 0) -> QueuedPlan:
    settings = PlanSettings(resources=Resources(cpu=cpu, gpu=gpu))
    return QueuedPlan(
        name, 0, 1, 1, 0, "", Definition((PlanInput("in"),), command=("true",)), settings, project=project
    )


def waiting(number: int, of: QueuedPlan, priority: int = 0) -> Candidate:
    return -priority, number, f"run-{number}", of


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def chosen(choosing: Choosing, *candidates: Candidate) -> list[str]:
    return [run for run, _, _ in choosing.choose(candidates)]


def make(**quotas: Quota) -> tuple[Choosing, Ledger, Clock]:
    ledger, clock = Ledger([NODE]), Clock()
    ledger.quotas = quotas
    return Choosing(ledger, seconds=clock), ledger, clock


def test_a_project_gets_no_more_than_its_quota_and_others_pass() -> None:
    choosing, _, _ = make(a=Quota(cpu=2000))
    one, two = plan("one", "a"), plan("two", "b")

    assert chosen(choosing, *[waiting(n, one, 9) for n in (1, 2, 3)], waiting(4, two)) == ["run-1", "run-2", "run-4"]


def test_what_was_given_back_is_there_again() -> None:
    choosing, ledger, _ = make(a=Quota(running=1))
    one = plan("one", "a")

    assert chosen(choosing, waiting(1, one), waiting(2, one)) == ["run-1"]
    assert choosing.is_full(one)
    ledger.give_back(Attempt("run-1", 0))
    assert not choosing.is_full(one)
    assert chosen(choosing, waiting(2, one)) == ["run-2"]


def test_all_runs_of_a_project_count_whatever_their_plan() -> None:
    choosing, _, _ = make(a=Quota(gpu=2000))
    one, two = plan("one", "a", gpu=1000), plan("two", "a", gpu=1000)

    assert chosen(choosing, waiting(1, one), waiting(2, two), waiting(3, one), waiting(4, two)) == ["run-1", "run-2"]


def test_smaller_runs_of_a_project_pass_a_larger_one_but_not_for_ever() -> None:
    choosing, ledger, clock = make(a=Quota(cpu=4000))
    large, small, other = plan("large", "a", cpu=4000), plan("small", "a"), plan("other", "b")

    assert chosen(choosing, waiting(1, small), waiting(2, large), waiting(3, small)) == ["run-1", "run-3"]
    clock.seconds = STARVED + 1
    assert chosen(choosing, waiting(2, large), waiting(4, small), waiting(5, other)) == ["run-5"]
    for run in ("run-1", "run-3"):
        ledger.give_back(Attempt(run, 0))
    assert chosen(choosing, waiting(2, large), waiting(4, small)) == ["run-2"]


def test_a_run_that_asks_for_more_than_the_whole_quota_holds_up_nobody() -> None:
    choosing, _, clock = make(a=Quota(cpu=2000))
    too_large, small = plan("too large", "a", cpu=3000), plan("small", "a")

    assert chosen(choosing, waiting(1, too_large), waiting(2, small)) == ["run-2"]
    clock.seconds = STARVED + 1
    assert chosen(choosing, waiting(1, too_large), waiting(3, small)) == ["run-3"]
