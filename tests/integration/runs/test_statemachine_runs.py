"""Any commands about plans, data and runs in any order, against a small model; fsck after every step."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from raykqi.domain.order import Attempt, Ended, Stored
from raykqi.domain.plan import Definition, PlanInput, PlanOutput, PlanSettings
from raykqi.domain.run import STATUSES, Exit
from raykqi.domain.tags import parse_tags
from raykqi.engine.run_commands import ApplyPlan, EndRun, LoseRun, MoveRuns, StartRuns
from raykqi.errors import Conflict, InUse, StaleAttempt
from raykqi.opening import create_workspace
from raykqi.settings import Settings
from raykqi.storage.push import push_bytes
from tests.integration.lab import Lab, Opened, SteppedClock, check
from tests.integration.runs.run_model import LIVE, UNENDED, ModelData, ModelPlan, RunModel

TAGS = ["a:1", "b:1", "c:1"]
# Inputs and output of the plans that may be applied; together they make no cycle.
PLANS = [
    ([["a:1"]], ["b:1"]),
    ([["a:1"], ["b:1"]], ["c:1"]),
    ([["b:1"], ["b:1"]], []),
    ([["a:1", "b:1"]], ["c:1", "d:1"]),
    ([["c:1"]], ["d:1"]),
]
numbers = st.integers(0, 1 << 16)
tag_sets = st.lists(st.sampled_from(TAGS), max_size=2, unique=True)


class RunCommands(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="raykqi-machine-"))
        self.clock = SteppedClock()
        config = Settings(user="tester", cache_dir=self.folder / "cache", lock_timeout=20.0)
        self.lab = Lab(str(self.folder / "workspace"), config, self.folder)
        create_workspace(self.lab.url, config, clock=self.clock)
        self.opened: Opened = self.lab.open(clock=self.clock)
        self.model = RunModel()
        self.source = self.lab.files("source", {"file": b"content"})
        self.tree = push_bytes(self.opened.parts.store, {"made": b"by a run"}).tree

    def submit(self, command: object) -> None:
        self.opened.parts.controller.submit(command)  # type: ignore[arg-type]

    def pick(self, number: int, *statuses: str) -> str | None:
        fitting = [id_ for id_, run in self.model.runs.items() if run.status in statuses]
        return fitting[number % len(fitting)] if fitting else None

    def few_runs(self) -> bool:
        return len(self.model.runs) < 60

    @precondition(few_runs)
    @rule(tags=tag_sets)
    def push(self, tags: list[str]) -> None:
        data = self.opened.ws.push(self.source, tags)
        self.model.data[data.id] = ModelData(set(tags), "done")

    @precondition(few_runs)
    @rule(number=numbers, add=tag_sets, remove=tag_sets)
    def tag(self, number: int, add: list[str], remove: list[str]) -> None:
        # What runs make keeps its tags here: else plans could be made to feed themselves without end.
        known = [id_ for id_, data in self.model.data.items() if data.status == "done" and not data.run]
        if known:
            chosen = known[number % len(known)]
            self.opened.ws.tag(chosen, add=add, remove=remove)
            self.model.data[chosen].tags = (self.model.data[chosen].tags - set(remove)) | set(add)

    @precondition(few_runs)
    @rule(number=st.integers(0, len(PLANS) - 1), retries=st.integers(0, 1), active=st.booleans())
    def apply(self, number: int, retries: int, active: bool) -> None:
        inputs, output = PLANS[number]
        definition = Definition(
            inputs=tuple(PlanInput(f"in{at}", f"/in/{at}", parse_tags(tags)) for at, tags in enumerate(inputs)),
            outputs=(PlanOutput("out", "/out", parse_tags(output)),),
            command=("true",),
            retries=retries,
            backoff=0.0,
        )
        try:
            self.submit(ApplyPlan("tester", definition, PlanSettings(active=active)))
        except Conflict:
            assert any(
                plan.inputs == list(map(frozenset, inputs)) and plan.retries == retries
                for plan in self.model.plans.values()
            )
            return
        (plan,) = self.opened.ws.plans(limit=1)
        self.model.plans[plan.id] = ModelPlan(list(map(frozenset, inputs)), set(output), retries, active)

    @rule(number=numbers, active=st.booleans())
    def switch(self, number: int, active: bool) -> None:
        if self.model.plans:
            plan = list(self.model.plans)[number % len(self.model.plans)]
            (self.opened.ws.activate if active else self.opened.ws.deactivate)(plan)
            self.model.switch(plan, active=active)

    @rule(number=numbers)
    def begin(self, number: int) -> None:
        if run := self.pick(number, "waiting"):
            self.submit(StartRuns("tester", (run,), "here"))
            self.model.runs[run].status = "starting"
            self.model.runs[run].attempt += 1

    @rule(number=numbers)
    def go_on(self, number: int) -> None:
        if run := self.pick(number, "starting"):
            self.submit(MoveRuns("tester", "running", (self.attempt(run),), "node"))
            self.model.runs[run].status = "running"

    @rule(number=numbers, code=st.sampled_from([0, 0, 0, 1]))
    def end(self, number: int, code: int) -> None:
        if run := self.pick(number, *LIVE):
            its = self.model.runs[run]
            ended = Ended(self.attempt(run), Exit(code), (Stored(its.output, self.tree),))
            self.submit(EndRun("tester", ended))
            if its.stopping:
                self.model.end(run, "failed" if its.stopping == "fail" else "done")
            elif not code:
                self.model.end(run, "done")
            elif not self.model.again(run, counts=True):
                self.model.end(run, "failed")

    @rule(number=numbers)
    def lose(self, number: int) -> None:
        if run := self.pick(number, *LIVE):
            self.submit(LoseRun("tester", self.attempt(run), "its node is gone"))
            if self.model.runs[run].stopping or not self.model.again(run, counts=True):
                self.model.end(run, "failed")

    @rule(number=numbers)
    def come_too_late(self, number: int) -> None:
        if run := self.pick(number, *STATUSES):
            its = self.model.runs[run]
            late = Attempt(run, its.attempt - 1 if its.status in LIVE else its.attempt)
            with pytest.raises(StaleAttempt):
                self.submit(EndRun("tester", Ended(late, Exit(0), (Stored(its.output, self.tree),))))

    @rule(number=numbers, fail=st.booleans())
    def stop(self, number: int, fail: bool) -> None:
        run = self.pick(number, *STATUSES)
        if run is None or self.model.runs[run].status == "invalidated":
            return
        its = self.model.runs[run]
        allowed = {"starting", "running"} | ({"waiting", "deactivated"} if fail else set())
        if its.status not in allowed:
            with pytest.raises(Conflict):
                self.opened.ws.stop(run, fail=fail)
            return
        self.opened.ws.stop(run, fail=fail)
        if its.status in ("waiting", "deactivated"):
            self.model.end(run, "failed")
        else:
            its.status, its.stopping = ("aborting", "fail") if fail else ("completing", "stop")

    @rule(number=numbers)
    def retry(self, number: int) -> None:
        run = self.pick(number, "done", "failed", "running")
        if run is None:
            return
        its = self.model.runs[run]
        gone = any(self.model.data[data].status != "done" for data in its.taken)
        if its.status == "running" or self.model.users(run) or gone:
            with pytest.raises(Conflict):
                self.opened.ws.retry(run)
            return
        (again,) = self.opened.ws.retry(run)
        self.model.data[its.output].status = "removed"
        its.output, its.tries, its.stopping = again.outputs[0].data, 0, ""
        its.status = "waiting" if self.model.plans[its.plan].active else "deactivated"
        self.model.data[its.output] = ModelData(set(self.model.plans[its.plan].output), "processing", run)

    @rule(number=numbers)
    def remove(self, number: int) -> None:
        run = self.pick(number, *STATUSES)
        if run is None or self.model.runs[run].status == "invalidated":
            return
        if self.model.runs[run].status in UNENDED or self.model.users(run):
            with pytest.raises(InUse):
                self.opened.ws.remove_runs(run)
            return
        self.opened.ws.remove_runs(run)
        self.model.runs[run].status = "invalidated"
        self.model.data[self.model.runs[run].output].status = "removed"

    @rule(number=numbers)
    def purge(self, number: int) -> None:
        known = [id_ for id_, data in self.model.data.items() if data.status == "done"]
        if not known:
            return
        data = known[number % len(known)]
        used = [run for run in self.model.runs.values() if data in run.taken and run.status in UNENDED]
        if used:
            with pytest.raises(InUse):
                self.opened.ws.purge(data, "no room")
            return
        self.opened.ws.purge(data, "no room")
        self.model.data[data].status = "purged"

    @rule()
    def reopen(self) -> None:
        self.lab.close()
        self.opened = self.lab.open(clock=self.clock)

    @invariant()
    def runs_are_those_of_the_model(self) -> None:
        ws = self.opened.ws
        runs = {run.id: run for run in ws.runs(status=STATUSES) if run.plan in self.model.plans}
        expected = self.model.missing()
        new = {
            (run.plan, tuple(given.data for given in run.inputs)): run
            for id_, run in runs.items()
            if id_ not in self.model.runs
        }
        assert new.keys() == expected
        for (plan, taken), run in new.items():
            self.model.add_run(run.id, plan, taken, run.outputs[0].data)
        assert {id_: run.status for id_, run in runs.items()} == {
            id_: run.status for id_, run in self.model.runs.items()
        }
        found = {data.id: data.status for data in ws.find()}
        assert found == {id_: data.status for id_, data in self.model.data.items() if data.status != "removed"}
        check(self.opened)

    def attempt(self, run: str) -> Attempt:
        return Attempt(run, self.model.runs[run].attempt)

    def teardown(self) -> None:
        if hasattr(self, "lab"):
            self.lab.close()
            shutil.rmtree(self.folder)


SHORT = settings(max_examples=3, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))
RunCommands.TestCase.settings = SHORT
TestRunCommands = RunCommands.TestCase


@pytest.mark.soak
def test_soak_runs_are_those_of_the_model_in_any_order_of_commands() -> None:
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(RunCommands, settings=settings(SHORT, max_examples=300, stateful_step_count=60))
