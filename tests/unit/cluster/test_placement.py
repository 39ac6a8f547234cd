"""Resources and node rules of a plan in the words of Ray."""

from __future__ import annotations

from raykqi.cluster.placement import placement
from raykqi.domain.plan import NodeRules
from raykqi.domain.resources import Resources


def test_quantities_become_the_numbers_that_ray_counts_in() -> None:
    wanted = Resources(cpu=500, memory=2048, gpu=250, accelerator="H100", custom={"license": 1000})
    assert placement(wanted, NodeRules()) == {
        "num_cpus": 0.5,
        "num_gpus": 0.25,
        "memory": 2048,
        "resources": {"license": 1.0},
        "accelerator_type": "H100",
    }


def test_an_accelerator_is_spelled_as_the_nodes_do_and_else_as_ray_does() -> None:
    def asked(name: str, *there: str) -> str:
        return str(placement(Resources(gpu=1000, accelerator=name), NodeRules(), lambda: there)["accelerator_type"])

    assert asked("a100", "A100") == "A100"
    assert asked("H100", "h100") == "h100"
    assert asked("A100", "a100", "A100") == "A100"
    assert asked("amd-instinct-mi210") == "AMD-Instinct-MI210"
    assert asked("home-made", "T4") == "home-made"


def test_what_must_be_is_the_selector_and_values_of_one_key_are_alternatives() -> None:
    rules = NodeRules(must=("zone=a", "zone=b", "disk=ssd"))
    assert placement(Resources(memory=0), rules) == {
        "num_cpus": 1.0,
        "num_gpus": 0.0,
        "label_selector": {"zone": "in(a,b)", "disk": "ssd"},
    }


def test_preferences_are_tried_together_then_alone_then_given_up() -> None:
    rules = NodeRules(must=("zone=a",), prefer=("disk=ssd", "net=fast"))
    options = placement(Resources(memory=0), rules)
    assert options["label_selector"] == {"zone": "a", "disk": "ssd", "net": "fast"}
    assert options["fallback_strategy"] == [
        {"label_selector": {"zone": "a", "disk": "ssd"}},
        {"label_selector": {"zone": "a", "net": "fast"}},
        {"label_selector": {"zone": "a"}},
    ]


def test_a_preference_alone_falls_back_to_any_node() -> None:
    options = placement(Resources(memory=0), NodeRules(prefer=("disk=ssd",)))
    assert options["label_selector"] == {"disk": "ssd"}
    assert options["fallback_strategy"] == [{"label_selector": {}}]


def test_a_preference_that_contradicts_what_must_be_gives_way() -> None:
    options = placement(Resources(memory=0), NodeRules(must=("zone=a",), prefer=("zone=b",)))
    assert options["label_selector"] == {"zone": "a"}
    assert "fallback_strategy" not in options


def test_a_preference_narrows_alternatives() -> None:
    options = placement(Resources(memory=0), NodeRules(must=("zone=a", "zone=b"), prefer=("zone=b",)))
    assert options["label_selector"] == {"zone": "b"}
    assert options["fallback_strategy"] == [{"label_selector": {"zone": "in(a,b)"}}]
