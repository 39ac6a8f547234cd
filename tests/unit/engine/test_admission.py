"""How many runs fit, where, and why some never will: sums without a cluster."""

from __future__ import annotations

import pytest

from raykqi.domain.order import Attempt, NodeShape
from raykqi.domain.plan import Definition, Launcher, NodeRules, PlanInput
from raykqi.domain.resources import Resources, parse_resources
from raykqi.engine.admission import Ledger, share

SMALL = NodeShape("small", Resources(cpu=2000, memory=4 << 30), {"zone": "a"})
LARGE = NodeShape("large", Resources(cpu=8000, memory=64 << 30, gpu=8000, accelerator="H100"), {"zone": "b"})


def plan(*must: str, launcher: Launcher = "process") -> Definition:
    return Definition((PlanInput("in"),), command=("true",), on_node=NodeRules(must=must), launcher=launcher)


def test_nodes_are_filled_to_the_last_thousandth_and_no_further() -> None:
    ledger = Ledger([SMALL])
    part = parse_resources({"cpu": "0.4", "memory": "1Mi"})
    for number in range(5):
        assert ledger.place(part, plan()) == "small"
        ledger.take(Attempt("run", number), "small", part)

    assert ledger.place(part, plan()) is None
    ledger.give_back(Attempt("run", 0))
    assert ledger.place(part, plan()) == "small"
    assert len(ledger) == 4


def test_a_label_that_must_be_there_decides_on_the_node() -> None:
    ledger = Ledger([SMALL, LARGE])

    assert ledger.place(Resources(), plan()) == "small"
    assert ledger.place(Resources(), plan("zone=b")) == "large"
    assert ledger.place(Resources(), plan("zone=a", "zone=b")) == "small"
    assert ledger.place(Resources(), plan("zone=c")) is None


def test_a_limit_counts_over_all_nodes() -> None:
    ledger = Ledger([SMALL, LARGE], limit=Resources(cpu=3000, memory=64 << 30))
    for number, node in enumerate(("small", "small", "large")):
        assert ledger.place(Resources(), plan()) == node
        ledger.take(Attempt("run", number), node, Resources())

    assert ledger.place(Resources(), plan()) is None
    assert "runs may take 3 CPUs, 64.0 GiB and 0 GPUs" in ledger.why_never(Resources(cpu=4000), plan())
    assert "asks for more" in ledger.why_never(Resources(gpu=1000), plan())


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"gpu": 16}, "no node has 16 GPUs; largest is 8"),
        ({"cpu": 9}, "no node has 9 CPUs; largest is 8"),
        ({"memory": "100Gi"}, "no node has 100Gi of memory; largest is 64.0 GiB"),
        ({"gpu": 1, "accelerator": "B200"}, "no node has the accelerator B200; there is H100"),
        ({"tpu": 1}, "no node has 1 of tpu; largest is 0"),
        ({"gpu": 8, "cpu": 8, "memory": "64Gi"}, ""),
    ],
)
def test_what_no_node_has_is_said_with_the_most_there_is(wanted: dict[str, object], said: str) -> None:
    assert Ledger([SMALL, LARGE]).why_never(parse_resources(wanted), plan()) == said


def test_what_nodes_have_only_on_different_ones_is_not_there() -> None:
    wide = NodeShape("wide", Resources(cpu=64_000, memory=1 << 30))

    said = Ledger([wide, LARGE]).why_never(parse_resources({"cpu": 32, "memory": "32Gi"}), plan())

    assert said == "no node has all of the resources together that it asks for"


def test_labels_and_containers_that_are_not_there_are_named() -> None:
    ledger = Ledger([SMALL, LARGE])

    assert ledger.why_never(Resources(), plan("zone=c")) == "no node has the label zone=c"
    assert "containers" in ledger.why_never(Resources(), plan(launcher="container"))
    assert Ledger().why_never(Resources(), plan()) == "there is no node"


def test_runs_that_take_turns_count_for_their_part() -> None:
    assert share(Resources(cpu=1000, memory=640), 64) == Resources(cpu=16, memory=10)
    assert share(Resources(), 1) == Resources()
