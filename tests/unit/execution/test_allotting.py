"""What of a node is free."""

from __future__ import annotations

import pytest

from raykqi.domain.plan import NodeRules
from raykqi.domain.resources import Resources
from raykqi.execution.allotting import Allotment, meets


def test_what_is_taken_is_free_again_when_it_is_given_back() -> None:
    free = Allotment(Resources(cpu=2000, memory=100, custom={"licence": 1000}))
    wanted = Resources(cpu=1500, memory=60, custom={"licence": 1000})

    assert free.take(wanted) == ()
    assert free.take(Resources(cpu=1000, memory=0)) is None
    assert free.take(Resources(cpu=0, memory=60)) is None
    assert free.take(Resources(cpu=0, memory=0, custom={"licence": 1})) is None
    free.give_back(wanted, ())
    assert free.take(wanted) == ()


def test_parts_share_a_gpu_and_leave_others_whole() -> None:
    free = Allotment(Resources(cpu=0, memory=0, gpu=2000), ("a", "b"))
    half = Resources(cpu=0, memory=0, gpu=500)
    quarter = Resources(cpu=0, memory=0, gpu=250)

    assert [free.take(each) for each in (half, quarter, quarter, half)] == [("a",), ("a",), ("a",), ("b",)]
    assert free.take(Resources(cpu=0, memory=0, gpu=1000)) is None
    free.give_back(half, ("b",))
    assert free.take(Resources(cpu=0, memory=0, gpu=1000)) == ("b",)


def test_an_accelerator_of_another_type_is_not_taken() -> None:
    free = Allotment(Resources(gpu=1000, accelerator="A100"))

    assert free.take(Resources(gpu=1000, accelerator="H100", memory=0)) is None
    assert free.take(Resources(gpu=1000, accelerator="a100", memory=0)) == ("0",)


@pytest.mark.parametrize(
    ("must", "meant"),
    [((), True), (("a=1",), True), (("a=2",), False), (("a=2", "a=1"), True), (("a=1", "b=1"), False)],
)
def test_labels_that_must_be_there(must: tuple[str, ...], meant: bool) -> None:
    assert meets({"a": "1", "c": "3"}, NodeRules(must=must)) is meant
