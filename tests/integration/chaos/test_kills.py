"""Whatever is killed, whenever: every run ends, each is committed once, and nothing is left of any."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest

from raykqi.domain.run import Run
from tests.integration.chaos.served import Served
from tests.integration.chaos.workload import Killer, apply_plans, push_work

KINDS = ("worker", "supervisor", "command", "controller", "raylet", "node")


def test_every_run_ends_and_is_committed_once_whatever_is_killed(served: Served) -> None:
    endure(served, seed=1, functions=40, commands=12, strikes=KINDS, within=120.0)


@pytest.mark.soak
@pytest.mark.parametrize("seed", [1, 2])
def test_soak_every_run_ends_and_is_committed_once_whatever_is_killed(served: Served, seed: int) -> None:
    endure(served, seed=seed, functions=240, commands=60, strikes=KINDS * 5, within=600.0)


def endure(
    served: Served, *, seed: int, functions: int, commands: int, strikes: tuple[str, ...], within: float
) -> None:
    """All of `strikes` fall while there is something to do."""
    chance = random.Random(seed)
    apply_plans(served)
    push_work(served, chance, functions=functions, commands=commands)
    killer = Killer(served, chance)
    served.serve()
    deadline = time.monotonic() + within
    left = list(strikes)
    while left and not all_ended(served):
        assert time.monotonic() < deadline
        killer.wait(1.5)
        kind = chance.choice(left)
        if killer.kill(kind):
            left.remove(kind)

    runs = served.wait(within=deadline - time.monotonic())

    print(f"killed: {dict(killer.killed)}, attempts: {Counter(run.attempt for run in runs)}")
    assert set(killer.killed) == set(strikes)
    assert_each_once(served, runs, functions + commands)
    for run in runs:
        assert_sensible(run)
    served.assert_nothing_is_left()


def all_ended(served: Served) -> bool:
    return {run.status for run in served.ws.runs()} <= {"done", "failed"}


def assert_each_once(served: Served, runs: list[Run], count: int) -> None:
    assert len({(run.plan, run.inputs[0].data) for run in runs}) == count
    assert len(runs) == count
    assert Counter(end.run for end in served.ends()) == Counter(run.id for run in runs)
    for run in runs:
        if run.status == "done":
            made, given = run.outputs[0].data, run.inputs[0].data
            assert b"".join(served.ws.cat(made, "file")) == b"".join(served.ws.cat(given, "file"))


def assert_sensible(run: Run) -> None:
    """What a person is shown of it."""
    assert run.status in ("done", "failed")
    assert run.exit is not None
    assert run.usage is not None
    if run.status == "done":
        assert run.exit.code == 0
        assert run.node in ("head", "second")
        assert run.usage.wall > 0
        assert run.attempt <= 10
    else:
        assert run.exit.code in (254, 255, 137, 143), run
        assert run.exit.message
