"""A node that is cut off, and comes back when its run was done elsewhere."""

from __future__ import annotations

import signal

import psutil
import pytest

from raykqi.domain.order import Attempt
from raykqi.storage.receipts import receipt_key
from tests.integration.chaos.nodes import Cluster, until
from tests.integration.chaos.served import Served


@pytest.mark.parametrize("launcher", ["process", pytest.param("sandbox", marks=pytest.mark.soak)])
def test_p4_what_a_node_stores_that_was_cut_off_is_refused(cluster: Cluster, served: Served, launcher: str) -> None:
    second = cluster.nodes["second"]
    served.bench.launcher = launcher
    served.bench.plan(
        "echo attempt $RAYKQI_ATTEMPT\n"
        "sleep $((9 - 8 * (RAYKQI_ATTEMPT - 1)))\necho $RAYKQI_ATTEMPT > {outputs.made}/attempt",
        inputs={"/in": ["to:zombie"]},
        outputs={"/made": ["by:zombie"]},
        more="retries: 1\nbackoff: 0\nresources: {cpu: 0.5, memory: 0}\non_node: {prefer: [side=second]}",
    )
    served.serve()
    served.bench.push("to:zombie")
    run = served.bench.only_run()
    served.bench.until(run, "running")
    assert next(served.ws.logs(run, follow=True)) == b"attempt 1\n"
    assert served.ws.run(run).node == "second"

    frozen = second.signal(signal.SIGSTOP)
    (done,) = served.wait([run])
    assert (done.status, done.attempt, done.node) == ("done", 2, "head")

    raylet = second.raylet
    assert raylet is not None
    for process in frozen:
        if process != raylet:
            process.send_signal(signal.SIGCONT)
    store = served.bench.opened.parts.store
    receipt = receipt_key(Attempt(run.id, 1))
    until(lambda: [found for found in store.list("receipts/") if found.key == receipt])
    raylet.send_signal(signal.SIGCONT)

    until(lambda: not any(still_runs(process) for process in frozen))
    served.kill()
    served.serve()
    (later,) = served.wait([run])
    assert later == done
    assert b"".join(served.ws.cat(served.bench.output(later, "made"), "attempt")) == b"2\n"
    assert [(end.attempt, end.node) for end in served.ends()] == [(2, "head")]
    served.assert_nothing_is_left()


def still_runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
