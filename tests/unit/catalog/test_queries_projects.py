"""Every question of the index is asked in a project, and answers nothing of others."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from raykqi.catalog.index import Index
from raykqi.catalog.plan_flow import plans_below
from raykqi.catalog.plan_queries import code_with_tree, find_plans, get_plan, matched_by, named_plans, resolve_plan
from raykqi.catalog.queries import (
    count_data,
    find_data,
    get_data,
    list_tags,
    resolve_data,
    resolve_node,
    resolve_run,
)
from raykqi.catalog.reasons import plan_flow
from raykqi.catalog.run_facts import load_run_facts, plans_with
from raykqi.catalog.run_queries import count_runs, find_runs, get_runs, statuses_of
from raykqi.domain.data import DataQuery
from raykqi.domain.events import NewData, PlanApplied, RunCreated, RunInput
from raykqi.domain.plan import Definition, PlanInput, PlanOutput, PlanQuery, PlanSettings
from raykqi.domain.run import Cause, RunQuery
from raykqi.domain.tags import Tag
from raykqi.errors import UnknownId
from tests.unit.catalog.history import data_id, fold, minute, recorded, run_id

PHOTOS, MODEL = Tag("type", "photos"), Tag("type", "model")
DEFINITION = Definition(
    (PlanInput("in", "/in", (PHOTOS,)),), (PlanOutput("out", "/out", (MODEL,)),), name="train", command=("true",)
)
PLAN, OTHER_PLAN = (f"01939c1c-0000-7000-a000-{number:012x}" for number in (1, 2))


def applied(plan: str, project: str) -> PlanApplied:
    return PlanApplied(minute(1), "hana", plan, DEFINITION.digest, DEFINITION, PlanSettings(), project)


def created(run: int, plan: str, data: int, made: int, project: str) -> RunCreated:
    return RunCreated(
        at=minute(2),
        by="hana",
        run=run_id(run),
        plan=plan,
        status="waiting",
        inputs=(RunInput("in", data_id(data)),),
        outputs=(NewData("out", data_id(made), (MODEL,)),),
        cause=Cause("data"),
        project=project,
    )


@pytest.fixture(scope="module")
def two() -> Iterator[Index]:
    """In `default` data 1, plan and run 10 that makes 11; in `lab-2` the same with 2, 20 and 21."""
    index = Index(None, "test")
    fold(
        index,
        [
            applied(PLAN, "default"),
            applied(OTHER_PLAN, "lab-2"),
            recorded(1, [1], tags=["type:photos"], plan="raykqi#uploaded"),
            recorded(2, [2], tags=["type:photos", "secret:yes"], plan="raykqi#uploaded", project="lab-2"),
            recorded(3, [3], plan="raykqi#code", project="lab-2"),
            created(10, PLAN, 1, 11, "default"),
            created(20, OTHER_PLAN, 2, 21, "lab-2"),
        ],
    )
    yield index
    index.close()


def test_lists_and_counts(two: Index) -> None:
    assert [item.id for item in find_data(two, DataQuery()).items] == [data_id(11), data_id(1)]
    assert [item.id for item in find_data(two, DataQuery(tags=(PHOTOS,))).items] == [data_id(1)]
    assert count_data(two, DataQuery()) == 2
    assert count_data(two, DataQuery(project="lab-2")) == 3
    assert [str(Tag(tag.key, tag.value)) for tag in list_tags(two)] == ["type:model", "type:photos"]
    assert [plan.id for plan in find_plans(two, PlanQuery()).items] == [PLAN]
    assert [plan.id for plan in find_plans(two, PlanQuery(project="lab-2")).items] == [OTHER_PLAN]
    assert [run.id for run in find_runs(two, RunQuery()).items] == [run_id(10)]
    assert (count_runs(two, RunQuery()), count_runs(two, RunQuery(plans=(OTHER_PLAN,)))) == (1, 0)
    assert statuses_of(two, [run_id(10), run_id(20)], project="default") == {run_id(10): "waiting"}


def test_plans_by_name_digest_and_tree(two: Index) -> None:
    assert (named_plans(two, "train"), named_plans(two, "train", project="lab-2")) == ([PLAN], [OTHER_PLAN])
    assert (resolve_plan(two, "train"), resolve_plan(two, "train", project="lab-2")) == (PLAN, OTHER_PLAN)
    assert plans_with(two, project="default", digest=DEFINITION.digest) == [PLAN]
    assert plans_with(two, project="lab-2", name="train") == [OTHER_PLAN]
    assert plans_with(two, project="lab-3", name="train") == []
    assert [node.id for node in plan_flow(two, "").plans] == [PLAN]
    assert code_with_tree(two, f"{3:064x}", project="lab-2") == data_id(3)
    assert code_with_tree(two, f"{3:064x}") == ""


def test_what_may_be_taken_and_what_comes_of_it(two: Index) -> None:
    assert matched_by(two, [data_id(1), data_id(2)]) == {data_id(1): [(PLAN, "in")]}
    assert matched_by(two, [data_id(1), data_id(2)], project="lab-2") == {data_id(2): [(OTHER_PLAN, "in")]}
    assert plans_below(two, "default", [(PHOTOS,)]) == {frozenset({PHOTOS}), frozenset({MODEL})}
    assert plans_below(two, "lab-3", [(PHOTOS,)]) == {frozenset({PHOTOS})}


@pytest.mark.parametrize(
    "ask",
    [
        lambda index: get_data(index, [data_id(1), data_id(2)], project="default"),
        lambda index: get_runs(index, [run_id(10), run_id(20)], project="default"),
        lambda index: get_plan(index, OTHER_PLAN),
        lambda index: resolve_data(index, data_id(2)),
        lambda index: resolve_data(index, data_id(2), removed=True),
        lambda index: resolve_run(index, run_id(20)),
        lambda index: resolve_node(index, data_id(21)),
        lambda index: resolve_node(index, run_id(20)),
        lambda index: resolve_plan(index, OTHER_PLAN),
    ],
)
def test_by_its_id_nothing_of_another_project_is_there(two: Index, ask: Callable[[Index], object]) -> None:
    with pytest.raises(UnknownId):
        ask(two)


def test_who_took_what_a_run_made_is_known_of_its_project(index: Index) -> None:
    fold(index, [recorded(1, [1]), recorded(2, [2], [1], project="lab-2"), recorded(3, [3], [1])])

    (facts,) = load_run_facts(index, [run_id(1)], with_outputs=[], with_users=[run_id(1)]).values()

    assert facts.users == {run_id(3)}
