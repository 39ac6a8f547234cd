"""Why a project takes no more now: which part of its quota, what is taken, and what to do."""

from __future__ import annotations

import pytest

from raykqi.domain.access import Quota
from raykqi.domain.quota import NOTHING_TAKEN, Taken, add, is_beyond, show_amount, why_over, why_over_storage
from raykqi.domain.resources import Resources

RAISE = "ask an administrator of the workspace to raise the quota"
WANTED = Resources(cpu=2000, memory=2**30, gpu=1000)


@pytest.mark.parametrize(
    ("quota", "taken"),
    [
        (Quota(), Taken(10**9, 2**60, 10**9, 10**6)),
        (Quota(cpu=4000), Taken(cpu=2000)),
        (Quota(memory=2**31), Taken(memory=2**30)),
        (Quota(gpu=1000), NOTHING_TAKEN),
        (Quota(running=2), Taken(running=1)),
        (Quota(storage=0), NOTHING_TAKEN),
    ],
)
def test_up_to_the_quota_runs_may_start(quota: Quota, taken: Taken) -> None:
    assert why_over("lab", quota, taken, WANTED) == ""


@pytest.mark.parametrize(
    ("quota", "taken", "said"),
    [
        (
            Quota(cpu=3000),
            Taken(cpu=2000),
            "2 of the 3 CPUs that project lab may take are taken (quota), and it asks for 2: "
            f"it starts when other runs end; or {RAISE}",
        ),
        (
            Quota(memory=2**31),
            Taken(memory=2**31),
            "2Gi of the 2Gi of memory that project lab may take are taken (quota), and it asks for 1Gi: "
            f"it starts when other runs end; or {RAISE}",
        ),
        (
            Quota(gpu=0),
            NOTHING_TAKEN,
            "it asks for 1 GPUs, and all runs of project lab together may take 0 (quota): "
            f"lower the resources of its plan, or {RAISE}",
        ),
        (
            Quota(running=2),
            Taken(running=3),
            f"3 of at most 2 runs of project lab are under way (quota): it starts when one of them ends; or {RAISE}",
        ),
        (Quota(running=0), NOTHING_TAKEN, f"project lab may run nothing (quota): {RAISE}"),
    ],
)
def test_beyond_it_the_reason_says_what_there_is_and_what_to_do(quota: Quota, taken: Taken, said: str) -> None:
    assert why_over("lab", quota, taken, WANTED) == said


def test_what_is_not_asked_for_needs_no_room() -> None:
    without = Resources(cpu=0, memory=0)

    assert why_over("lab", Quota(cpu=0, memory=0, gpu=0), NOTHING_TAKEN, without) == ""


def test_runs_are_added_and_taken_off() -> None:
    taken = add(add(NOTHING_TAKEN, WANTED), WANTED)

    assert taken == Taken(4000, 2**31, 2000, 2)
    assert add(add(taken, WANTED, -1), WANTED, -1) == NOTHING_TAKEN
    assert is_beyond(Quota(cpu=1999), WANTED)
    assert not is_beyond(Quota(cpu=2000), WANTED)


def test_a_full_project_says_so() -> None:
    assert why_over_storage("lab", 2**40, 2**40 - 1) == ""
    assert why_over_storage("lab", 2**40, 2**40) == (
        f"the data of project lab take 1.0 TiB of at most 1.0 TiB (quota): purge or remove some; or {RAISE}"
    )


@pytest.mark.parametrize(
    ("size", "shown"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1048570, "1.0 MiB"), (2**60, "1024.0 PiB")]
)
def test_amounts_are_shown_as_people_read_them(size: int, shown: str) -> None:
    assert show_amount(size) == shown
