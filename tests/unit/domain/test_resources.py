"""Quantities as people and Kubernetes write them, kept exactly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raykqi.domain.resources import (
    Resources,
    change_resources,
    parse_bytes,
    parse_resources,
    parse_thousandths,
    show_bytes,
    show_thousandths,
)
from raykqi.errors import InvalidInput


@pytest.mark.parametrize(
    ("value", "thousandths"),
    [
        (1, 1000),
        ("1", 1000),
        (0.5, 500),
        ("500m", 500),
        (".25", 250),
        ("1.5", 1500),
        (0, 0),
        ("0.001", 1),
        (64, 64_000),
    ],
)
def test_cores_and_gpus_are_thousandths(value: object, thousandths: int) -> None:
    assert parse_thousandths("cpu", value) == thousandths


@pytest.mark.parametrize(
    ("value", "size"),
    [("1Gi", 2**30), ("512M", 512_000_000), ("1.5Ki", 1536), (1024, 1024), ("2Ti", 2**41), ("1k", 1000), ("1K", 1000)],
)
def test_memory_is_bytes(value: object, size: int) -> None:
    assert parse_bytes("memory", value) == size


@pytest.mark.parametrize(
    "value", [-1, "-1", "one", "", None, True, "1 2", "nan", "inf", "1e3", "0x10", [1], float("inf")]
)
def test_what_is_no_quantity_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput, match="is not a quantity"):
        parse_thousandths("cpu", value)
    with pytest.raises(InvalidInput, match="is not a quantity"):
        parse_bytes("memory", value)


@pytest.mark.parametrize("value", ["9" * 400, "9" * 20, "9" * 3_000_000])
def test_what_no_node_could_ever_have_is_refused(value: str) -> None:
    with pytest.raises(InvalidInput, match="beyond all measure"):
        parse_thousandths("cpu", value)
    with pytest.raises(InvalidInput, match="beyond all measure"):
        parse_bytes("memory", value)


def test_units_belong_to_their_kind() -> None:
    with pytest.raises(InvalidInput, match="cpu: '1Gi' has the unit 'Gi'"):
        parse_thousandths("cpu", "1Gi")
    with pytest.raises(InvalidInput, match="memory: '1m' has the unit 'm'"):
        parse_bytes("memory", "1m")
    with pytest.raises(InvalidInput, match="finer than a thousandth"):
        parse_thousandths("cpu", "0.0001")


@given(st.integers(0, 10**12))
def test_what_is_shown_reads_back(value: int) -> None:
    assert parse_thousandths("cpu", show_thousandths(value)) == value
    assert parse_bytes("memory", show_bytes(value)) == value


@pytest.mark.parametrize(("value", "shown"), [(1000, "1"), (250, "0.25"), (1_234_567, "1234.567"), (10**9, "1000000")])
def test_thousandths_are_shown_exactly(value: int, shown: str) -> None:
    assert show_thousandths(value) == shown


def test_a_plan_without_resources_takes_one_core_and_one_gibibyte() -> None:
    assert parse_resources({}) == Resources(cpu=1000, memory=2**30)
    assert parse_resources({}).shown() == {"cpu": "1", "memory": "1Gi"}


@pytest.mark.parametrize("name", ["gpu", "gpus", "nvidia.com/gpu"])
def test_gpus_have_several_names(name: str) -> None:
    assert parse_resources({name: "0.25"}).gpu == 250
    assert parse_resources({name: 2}).gpu == 2000


def test_more_than_one_gpu_is_a_whole_number() -> None:
    with pytest.raises(InvalidInput, match=r"gpu: 1.5 is more than one GPU and not a whole number") as refused:
        parse_resources({"gpu": 1.5})

    assert refused.value.hint == "Ask for a part of one GPU (0.25), or for 1, 2, 3, …"


@pytest.mark.parametrize(
    ("name", "meant"),
    [("cpus", "cpu"), ("CPU", "cpu"), ("num_gpus", "gpu"), ("mem", "memory"), ("GPU", "gpu"), ("Memory", "memory")],
)
def test_names_that_other_tools_use_would_never_be_found_on_a_node(name: str, meant: str) -> None:
    with pytest.raises(InvalidInput, match="there is no resource") as refused:
        parse_resources({name: 1})

    assert refused.value.hint == f"It is called {meant!r}."


def test_two_names_of_gpus_contradict_each_other() -> None:
    with pytest.raises(InvalidInput, match="both say how many GPUs"):
        parse_resources({"gpu": 1, "nvidia.com/gpu": 1})


@pytest.mark.parametrize("value", ["", "H 100", 100, "-"])
def test_an_accelerator_is_a_type(value: object) -> None:
    with pytest.raises(InvalidInput, match="is not a type of GPU"):
        parse_resources({"gpu": 1, "accelerator": value})


def test_an_accelerator_needs_a_gpu() -> None:
    with pytest.raises(InvalidInput, match="no GPU"):
        parse_resources({"accelerator": "H100"})


def test_changes_replace_what_is_named_and_none_takes_it_off() -> None:
    before = parse_resources({"cpu": 4, "memory": "8Gi", "gpu": 1, "accelerator": "H100", "example.com/fpga": 2})

    assert change_resources(before, {"cpu": None, "memory": None}) == Resources(
        1000, 2**30, 1000, "H100", {"example.com/fpga": 2000}
    )
    assert change_resources(before, {"example.com/fpga": None, "accelerator": None, "gpu": "0.5"}) == Resources(
        4000, 8 * 2**30, 500
    )
