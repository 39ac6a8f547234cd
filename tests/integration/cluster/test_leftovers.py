"""What a controller that was killed left on the cluster is taken away by the next one, and only that."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from raykqi.cluster.ray_nodes import RayNodes
from raykqi.cluster.run_actor import run_actors
from raykqi.domain.order import Attempt
from tests.integration.lab import Lab
from tests.integration.runs.bench import SOON, Bench


class KilledBeforeDismissing(RayNodes):
    def dismiss(self, attempt: Attempt) -> None:
        """Its process died after the end was in the journal."""


@pytest.fixture
def bench(lab: Lab, ray_here: str) -> Iterator[Bench]:
    made = Bench(lab)
    yield made
    made.close()


def nodes(bench: Bench, kind: type[RayNodes] = RayNodes) -> RayNodes:
    return kind(bench.lab.settings, folder=str(bench.lab.folder / "runs"), workspace=bench.lab.url)


def until_actors_are(*attempts: Attempt) -> None:
    deadline = time.monotonic() + SOON
    while (there := set(run_actors())) != set(attempts):
        assert time.monotonic() < deadline, there


def test_an_actor_whose_run_is_over_gives_its_slot_back(bench: Bench) -> None:
    bench.plan("until [ -e {inputs.data}/short ]; do sleep 0.1; done")
    server = bench.ws.serve(nodes(bench, KilledBeforeDismissing))
    bench.push("a:1", content={"short": b""})
    server.drain(SOON)
    ended = bench.only_run()
    assert ended.status == "done"
    bench.push("a:1", content={"long": b""})
    running = bench.until(bench.ws.runs(limit=1)[0], "running")
    server.close(leave_running=True)
    until_actors_are(Attempt(ended.id, 1), Attempt(running.id, 1))

    bench.ws.serve(nodes(bench))

    until_actors_are(Attempt(running.id, 1))
    bench.ws.stop(running)
    bench.until(running, "done")
    until_actors_are()
    assert bench.ws.run(running).attempt == 1
