"""How large the data of a project are: each tree once, and quick to know while there is room."""

from __future__ import annotations

from raykqi.catalog.index import Index
from raykqi.catalog.quotas import held_bytes, load_storage, quotas_of, sated_projects, stored_bytes
from raykqi.domain.access import Quota
from raykqi.domain.access_events import ProjectChanged, ProjectMade
from tests.unit.catalog.history import fold, minute, purged, recorded, removed


def test_each_tree_counts_once_as_long_as_data_has_it(index: Index) -> None:
    fold(index, [recorded(1, [1], size=600), recorded(2, [2], size=30), recorded(3, [3], project="lab-2", size=9)])
    assert (stored_bytes(index, "default"), stored_bytes(index, "lab-2"), stored_bytes(index, "lab-3")) == (630, 9, 0)

    fold(index, [purged(1, at=1), removed(2, at=1)])
    assert stored_bytes(index, "default") == 0


def test_near_the_limit_the_answer_is_exact(index: Index) -> None:
    fold(index, [recorded(1, [1], size=500, at=1)])
    assert held_bytes(index, "default", limit=1000) == 500
    fold(index, [recorded(2, [2], size=300, at=2)])
    fold(index, [purged(1, at=3)])

    assert held_bytes(index, "default", limit=10_000) >= 300  # what came since was added to what was known
    assert held_bytes(index, "default", limit=400) == 300


def test_what_runs_make_later_is_added_too(index: Index) -> None:
    fold(index, [recorded(1, [1], size=500, at=1)])
    assert held_bytes(index, "default", limit=10_000) == 500
    fold(index, [recorded(2, [2], size=400, at=2)])

    assert held_bytes(index, "default", limit=10_000) >= 900


def test_an_index_that_was_begun_anew_is_looked_at_anew(index: Index) -> None:
    fold(index, [recorded(1, [1], size=500)])
    assert held_bytes(index, "default", limit=10_000) == 500
    index.start_over()

    assert held_bytes(index, "default", limit=10_000) == 0


def test_quotas_are_those_of_the_last_change(index: Index) -> None:
    fold(index, [ProjectMade(minute(0), "taro", "lab-2", quota=Quota(storage=500))])
    fold(index, [ProjectMade(minute(0), "taro", "lab-3")])
    assert quotas_of(index) == {"lab-2": Quota(storage=500)}
    fold(index, [recorded(1, [1], project="lab-2", size=500)])
    assert sated_projects(index, quotas_of(index), ["default", "lab-2", "lab-3"]) == {"lab-2"}

    fold(index, [ProjectChanged(minute(1), "taro", "lab-2", quota=Quota(storage=501, cpu=1))])
    assert quotas_of(index) == {"lab-2": Quota(storage=501, cpu=1)}
    assert sated_projects(index, quotas_of(index), ["lab-2"]) == set()


def test_facts_name_the_trees_that_are_there_when_room_is_short(index: Index) -> None:
    fold(index, [ProjectMade(minute(0), "taro", "lab-2", quota=Quota(storage=1000))])
    fold(index, [recorded(1, [1], project="lab-2", size=600)])
    there, new = f"{1:064x}", f"{2:064x}"

    facts = load_storage(index, {"lab-2": {there: 600, new: 400}, "default": {new: 10**9}})

    assert facts.keys() == {"lab-2"}
    assert (facts["lab-2"].limit, facts["lab-2"].held, facts["lab-2"].trees) == (1000, 600, {there})
