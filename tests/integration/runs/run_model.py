"""What plans, data and runs should be, in plain sets: as small as the rules allow."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product

__all__ = ["ModelData", "ModelPlan", "ModelRun", "RunModel"]

UNENDED = {"deactivated", "waiting", "starting", "running", "completing", "aborting"}
LIVE = UNENDED - {"deactivated", "waiting"}
Assignment = tuple[str, ...]  # data by input, in the order of the plan's inputs


@dataclass
class ModelData:
    tags: set[str]
    status: str
    run: str = ""


@dataclass
class ModelPlan:
    inputs: list[frozenset[str]]
    output: set[str]
    retries: int
    active: bool = True
    assigned: set[Assignment] = field(default_factory=set)


@dataclass
class ModelRun:
    plan: str
    taken: Assignment
    status: str
    output: str
    attempt: int = 0
    tries: int = 0
    stopping: str = ""


@dataclass
class RunModel:
    data: dict[str, ModelData] = field(default_factory=dict)
    plans: dict[str, ModelPlan] = field(default_factory=dict)
    runs: dict[str, ModelRun] = field(default_factory=dict)

    def missing(self) -> set[tuple[str, Assignment]]:
        """The assignments that should have a run now and have none."""
        found: set[tuple[str, Assignment]] = set()
        for id_, plan in self.plans.items():
            fitting = [
                [d for d, data in self.data.items() if data.status == "done" and wanted <= data.tags]
                for wanted in plan.inputs
            ]
            found |= {(id_, taken) for taken in product(*fitting) if taken not in plan.assigned}
        return found

    def add_run(self, id_: str, plan: str, taken: Assignment, output: str) -> None:
        its = self.plans[plan]
        its.assigned.add(taken)
        self.runs[id_] = ModelRun(plan, taken, "waiting" if its.active else "deactivated", output)
        self.data[output] = ModelData(set(its.output), "processing", id_)

    def users(self, id_: str) -> list[ModelRun]:
        """The runs that took what this one made."""
        output = self.runs[id_].output
        return [run for run in self.runs.values() if output in run.taken and run.status != "invalidated"]

    def end(self, id_: str, status: str) -> None:
        run = self.runs[id_]
        run.status = status
        self.data[run.output].status = status

    def again(self, id_: str, *, counts: bool) -> bool:
        """The run waits once more, if it may."""
        run = self.runs[id_]
        plan = self.plans[run.plan]
        if counts and run.tries >= plan.retries:
            return False
        run.tries += counts
        run.status = "waiting" if plan.active else "deactivated"
        return True

    def switch(self, id_: str, *, active: bool) -> None:
        self.plans[id_].active = active
        before, after = ("deactivated", "waiting") if active else ("waiting", "deactivated")
        for run in self.runs.values():
            if run.plan == id_ and run.status == before:
                run.status = after
