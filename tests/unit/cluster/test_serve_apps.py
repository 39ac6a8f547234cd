"""Which applications of Ray Serve a workspace brings up and takes away, beside those of other workspaces."""

from __future__ import annotations

from raykqi.cluster.serve_apps import _short, is_foreign, what_to_do
from raykqi.controller.applications import Shape
from raykqi.domain.endpoint import Scale, ServingResources

OWN, OTHER = "Endpoint-0a0a0a0a", "Endpoint-0b0b0b0b"


def shape(name: str, cpu: float = 1.0) -> Shape:
    return Shape(f"id-{name}", name, "default", Scale(), ServingResources(cpu=cpu), 512)


def test_what_is_not_wanted_any_more_goes_and_what_is_new_or_changed_comes() -> None:
    there = {"old": {OWN}, "same": {OWN}, "grown": {OWN}}
    shown = {"old": shape("old"), "same": shape("same"), "grown": shape("grown")}
    wanted = {"same": shape("same"), "grown": shape("grown", cpu=2.0), "new": shape("new")}

    assert what_to_do(there, wanted, shown, OWN) == (["old"], [shape("grown", cpu=2.0), shape("new")])


def test_applications_of_another_workspace_on_the_cluster_are_left_alone() -> None:
    there = {"theirs": {OTHER}, "digits": {OTHER}}

    assert what_to_do(there, {}, {}, OWN) == ([], [])
    assert what_to_do(there, {"digits": shape("digits")}, {}, OWN) == ([], [])
    assert is_foreign({OTHER}, OWN)


def test_an_application_that_has_no_deployment_yet_is_neither_foreign_nor_taken_away() -> None:
    assert what_to_do({"digits": set()}, {}, {}, OWN) == ([], [])
    assert what_to_do({"digits": set()}, {"digits": shape("digits")}, {}, OWN) == ([], [shape("digits")])


def test_what_is_free_on_the_cluster_is_no_part_of_a_reason() -> None:
    said = (
        'Resources required for each replica: {"GPU": 3.0}, total resources available: {"CPU": %s}. Use `ray status`.'
    )

    assert _short(said % "0.5") == _short(said % "1.5") != ""


def test_that_there_is_no_room_is_told_with_what_to_do() -> None:
    said = (
        "Deployment 'Endpoint' in application 'raykqi-endpoint-digits' has 1 replicas that have taken more than 30s "
        'to be scheduled. Resources required for each replica: {"CPU": 0.5}, total resources available: {}.'
    )

    assert _short(said) == (
        'taken more than 30s to be scheduled: no node has {"CPU": 0.5} free for one more replica now; '
        "ask for less (--cpu 0 reserves none), scale another endpoint down, or add a node"
    )
