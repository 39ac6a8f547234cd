"""Hooks, while for some time nothing can be written: the steps of runs are made later."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from raykqi.domain.hooks import Hooks
from raykqi.journal.owning import open_ownership
from raykqi.storage.filesystem import open_store
from tests.integration.lab import Lab
from tests.integration.runs.bench import Bench
from tests.integration.runs.listening import Reply, Request, listening


@pytest.fixture
def impatient_bench(make_lab: Callable[..., Lab]) -> Iterator[Bench]:
    made = Bench(make_lab(lock_timeout=0.2))
    yield made
    made.close()


# What comes of `ready` and `completing` is written by the dispatcher itself.
@pytest.mark.parametrize("step", ["waiting", "starting", "running"])
def test_a_step_is_made_again_while_another_process_holds_the_workspace(impatient_bench: Bench, step: str) -> None:
    bench = impatient_bench
    other = open_ownership(open_store(bench.lab.url, bench.lab.settings), user="other")
    asked: list[str] = []

    def answer(request: Request) -> Reply:
        asked.append(request.body["status"])
        if asked.count(step) == 1 and asked[-1] == step:
            other.acquire(20.0)
        elif asked[-1] == step:
            other.release()
        return Reply()

    with listening(answer=answer) as hook:
        bench.plan("true")
        bench.push("a:1")
        bench.serve(hooks=Hooks(before=(hook.url(),)))
        hook.until(lambda came: [each.body["status"] for each in came].count(step) == 2)
        bench.drain()
    other.close()

    assert (bench.only_run().status, bench.only_run().attempt) == ("done", 1)
    bench.check()
