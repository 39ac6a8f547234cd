"""Everything belongs to one project: nothing of another one is found, changed or taken, however it is named."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import pytest

import raykqi
from raykqi.domain.data import DataQuery
from raykqi.domain.plan import PlanQuery
from raykqi.domain.run import RunQuery
from raykqi.domain.tags import Tag
from raykqi.errors import InvalidInput, RaykqiError, UnknownId
from raykqi.workspace import Workspace
from tests.integration.lab import Lab, Opened, check

PLAN = """
name: train
command: [/bin/sh, -c, "true"]
inputs: [{path: /in/data, tags: ["type:photos"]}]
outputs: [{path: /out, tags: ["type:model"]}]
"""


class Two:
    """The same in two projects of one workspace: a data, a plan and a run of it."""

    def __init__(self, lab: Lab) -> None:
        self.opened: Opened = lab.open()
        self.source = lab.files("photos", {"a.jpg": b"a"})
        self.own = self.opened.ws
        self.other = self.own.acting(user="jiro", project="lab-2")
        self.data = self.own.push(self.source, ["type:photos"])
        self.foreign = self.other.push(self.source, ["type:photos", "secret:yes"])
        self.plan, self.foreign_plan = self.own.apply(PLAN), self.other.apply(PLAN)
        (self.run,), (self.foreign_run,) = self.own.runs(), self.other.runs()


@pytest.fixture
def two(lab: Lab) -> Two:
    return Two(lab)


@pytest.fixture(scope="module")
def unchanged(shared_lab: Lab) -> Two:
    """For tests after which everything is as before."""
    return Two(shared_lab)


def test_a_view_acts_in_its_project_and_name_and_closes_nothing(lab: Lab) -> None:
    ws = lab.open(user="taro").ws
    source = lab.files("photos", {"a": b"a"})

    with ws.acting(user="jiro", project="lab-2") as view:
        made = view.push(source, ["a:1"])

    assert (made.project, made.creator) == ("lab-2", "jiro")
    assert ws.find() == []
    assert ws.acting(user="hana", project="lab-2").find() == [made]
    assert ws.push(source).project == "default"


def test_a_workspace_is_opened_in_a_project(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    source = lab.files("photos", {"a": b"a"})

    with raykqi.open(lab.url, project="lab-2") as ws:
        made = ws.push(source)
    monkeypatch.setenv("RAYKQI_PROJECT", "lab-2")
    with raykqi.open(lab.url) as ws:
        assert ws.find() == [made]
    with raykqi.open(lab.url, project="default") as ws:
        assert ws.find() == []
    with pytest.raises(InvalidInput, match="'Lab 2' is no name of a project"):
        raykqi.open(lab.url, project="Lab 2")


def test_lists_and_counts_hold_what_is_of_the_project(two: Two) -> None:
    assert two.own.find("type:photos") == [two.data]
    assert two.own.find("secret:yes") == []
    assert two.own.count(DataQuery(tags=(Tag("type", "photos"),))) == 1
    assert [(tag.key, tag.value, tag.count) for tag in two.own.tags()] == [("type", "model", 1), ("type", "photos", 1)]
    assert [plan.id for plan in two.own.plans()] == [two.plan.id]
    assert [run.id for run in two.own.runs()] == [two.run.id]
    assert two.own.count_by_status() == {"waiting": 1}
    assert [node.id for node in two.own.plan_graph().plans] == [two.plan.id]
    assert two.own.matches(two.data.id) == [(two.plan.id, "data")]


def test_the_other_project_sees_its_own_in_the_same_ways(two: Two) -> None:
    other = two.other

    assert [(tag.key, tag.value) for tag in other.tags()] == [("secret", "yes"), ("type", "model"), ("type", "photos")]
    assert [plan.id for plan in other.plans(name="train")] == [two.foreign_plan.id]
    assert [plan.id for plan in other.plan_graph().plans] == [two.foreign_plan.id]
    assert [plan.id for plan in other.plan_graph("train").plans] == [two.foreign_plan.id]
    assert other.matches(two.foreign.id) == [(two.foreign_plan.id, "data")]
    assert other.why("train", two.foreign.id).is_match
    assert [run.id for run in other.runs(plan="train", input=two.foreign.id)] == [two.foreign_run.id]
    assert other.statuses(two.foreign_run.id) == {two.foreign_run.id: "waiting"}
    assert (other.resolve(two.foreign.id), other.resolve_run(two.foreign_run.id)) == (
        two.foreign.id,
        two.foreign_run.id,
    )
    assert other.deactivate("train").id == two.foreign_plan.id
    assert [change.data for change in other.tag(two.foreign.id, add=["a:1"])] == [two.foreign.id]
    assert [node.id for node in other.lineage(two.foreign.id, way="up").data] == [two.foreign.id]
    assert [node.id for node in other.path(two.foreign.id, two.foreign_run.id).runs] == [two.foreign_run.id]
    assert [node.id for node in other.compare(two.foreign.id, two.foreign_run.id).shared] == [two.foreign.id]
    assert [run.status for run in other.stop(two.foreign_run.id, fail=True)] == ["failed"]
    assert other.wait(two.foreign_run.id, timeout=1)[0].id == two.foreign_run.id
    assert [run.status for run in other.retry(two.foreign_run.id)] == ["deactivated"]


def test_a_query_made_by_hand_cannot_ask_for_another_project(two: Two) -> None:
    assert two.own.page(DataQuery(project="lab-2")).items == two.own.page(DataQuery()).items
    assert two.own.count(DataQuery(project="lab-2", tags=(Tag("secret", "yes"),))) == 0
    assert [plan.id for plan in two.own.plan_page(PlanQuery(project="lab-2")).items] == [two.plan.id]
    assert [run.id for run in two.own.run_page(RunQuery(project="lab-2")).items] == [two.run.id]
    assert two.own.count_runs(RunQuery(project="lab-2")) == 1
    assert two.own.run_page(RunQuery(plans=(two.foreign_plan.id,))).items == ()


ASKED: list[tuple[str, Callable[[Workspace, Two], object]]] = [
    ("show", lambda ws, two: ws.show(two.foreign.id)),
    ("show data", lambda ws, two: ws.show(two.foreign)),
    ("resolve", lambda ws, two: ws.resolve(two.foreign.id)),
    ("resolve run", lambda ws, two: ws.resolve_run(two.foreign_run.id)),
    ("ls", lambda ws, two: ws.ls(two.foreign.id)),
    ("cat", lambda ws, two: next(ws.cat(two.foreign.id, "a.jpg"))),
    ("matches", lambda ws, two: ws.matches(two.foreign.id)),
    ("lineage", lambda ws, two: ws.lineage(two.foreign.id)),
    ("lineage of run", lambda ws, two: ws.lineage(two.foreign_run.id)),
    ("impact", lambda ws, two: ws.impact(two.foreign.id)),
    ("path from", lambda ws, two: ws.path(two.foreign.id, two.data.id)),
    ("path to", lambda ws, two: ws.path(two.data.id, two.foreign.id)),
    ("compare", lambda ws, two: ws.compare(two.data.id, two.foreign.id)),
    ("runs with input", lambda ws, two: ws.runs(input=two.foreign.id)),
    ("runs with output", lambda ws, two: ws.runs(output=two.foreign_run.outputs[0].data)),
    ("runs of plan", lambda ws, two: ws.runs(plan=two.foreign_plan.id)),
    ("find upstream", lambda ws, two: ws.find(upstream_run=two.foreign_run.id)),
    ("plan", lambda ws, two: ws.plan(two.foreign_plan.id)),
    ("plan value", lambda ws, two: ws.plan(two.foreign_plan)),
    ("plan graph", lambda ws, two: ws.plan_graph(two.foreign_plan.id)),
    ("why plan", lambda ws, two: ws.why(two.foreign_plan.id, two.data.id)),
    ("why data", lambda ws, two: ws.why(two.plan.id, two.foreign.id)),
    ("run", lambda ws, two: ws.run(two.foreign_run.id)),
    ("run value", lambda ws, two: ws.run(two.foreign_run)),
    ("files", lambda ws, two: ws.files(two.foreign_run.id)),
    ("logs", lambda ws, two: ws.logs(two.foreign_run.id)),
    ("beat", lambda ws, two: ws.beat(two.foreign_run.id)),
    ("wait", lambda ws, two: ws.wait(two.foreign_run.id, timeout=1)),
    ("tag", lambda ws, two: ws.tag(two.foreign.id, add=["a:1"])),
    ("tag dry", lambda ws, two: ws.tag(two.foreign.id, add=["a:1"], dry_run=True)),
    ("preview tag", lambda ws, two: ws.preview_tag(two.foreign.id, add=["a:1"])),
    ("tag with own", lambda ws, two: ws.tag([two.data.id, two.foreign.id], add=["a:1"])),
    ("purge", lambda ws, two: ws.purge(two.foreign.id, "no")),
    ("remove", lambda ws, two: ws.remove(two.foreign.id, "no")),
    ("activate", lambda ws, two: ws.activate(two.foreign_plan.id)),
    ("deactivate", lambda ws, two: ws.deactivate(two.foreign_plan.id)),
    ("resources", lambda ws, two: ws.change_resources(two.foreign_plan.id, {"cpu": 2})),
    ("stop", lambda ws, two: ws.stop(two.foreign_run.id, fail=True)),
    ("stop value", lambda ws, two: ws.stop(two.foreign_run, fail=True)),
    ("retry", lambda ws, two: ws.retry(two.foreign_run.id)),
    ("remove runs", lambda ws, two: ws.remove_runs(two.foreign_run.id)),
]


@pytest.mark.parametrize("ask", [ask for _, ask in ASKED], ids=[name for name, _ in ASKED])
def test_what_is_of_another_project_is_unknown(unchanged: Two, ask: Callable[[Workspace, Two], object]) -> None:
    two = unchanged
    before = two.other.show(two.foreign.id), two.other.plan(two.foreign_plan.id), two.other.run(two.foreign_run.id)
    seq = two.opened.parts.keeper.position.seq

    with pytest.raises(UnknownId) as refused:
        ask(two.own, two)

    assert "lab-2" not in str(refused.value)
    after = two.other.show(two.foreign.id), two.other.plan(two.foreign_plan.id), two.other.run(two.foreign_run.id)
    assert after == before
    assert two.opened.parts.keeper.position.seq == seq


def test_of_runs_elsewhere_no_status_is_told(two: Two) -> None:
    assert two.own.statuses([two.run.id, two.foreign_run.id]) == {two.run.id: "waiting"}


def test_short_ids_and_names_mean_what_is_of_the_project(two: Two) -> None:
    assert two.own.resolve_data(two.data.id[:30]) == two.data.id
    with pytest.raises(UnknownId):
        two.own.resolve_data(two.foreign.id[:30])
    assert two.own.plan("train").id == two.plan.id
    assert two.own.deactivate("train").id == two.plan.id
    assert two.other.plan("train").settings.active


def test_a_message_about_what_is_foreign_is_that_about_what_is_not_there(two: Two) -> None:
    def said(ask: Callable[[], object]) -> str:
        with pytest.raises(RaykqiError) as refused:
            ask()
        return str(refused.value)

    nobody = "01939c1c-0000-7000-8000-000000000000"
    assert said(lambda: two.own.tag(two.foreign.id, add=["a:1"])).replace(two.foreign.id, "ID") == said(
        lambda: two.own.tag(nobody, add=["a:1"])
    ).replace(nobody, "ID")
    assert said(lambda: two.own.stop(two.foreign_run.id)).replace(two.foreign_run.id, "ID") == said(
        lambda: two.own.stop(nobody)
    ).replace(nobody, "ID")


def test_plans_of_two_projects_may_be_alike(two: Two) -> None:
    assert two.plan.digest == two.foreign_plan.digest
    assert two.own.apply(PLAN, exist_ok=True).id == two.plan.id
    changed = two.own.apply(PLAN.replace("true", "exit 0"), replace=True)

    assert (two.own.plan(two.plan.id).settings.active, changed.settings.active) == (False, True)
    assert two.other.plan(two.foreign_plan.id).settings.active


def test_the_same_bytes_are_stored_once_for_all_projects(two: Two) -> None:
    assert two.data.tree == two.foreign.tree
    assert len(list(two.opened.parts.store.list("trees/"))) == 1


def test_the_code_of_a_plan_is_data_of_its_project(lab: Lab) -> None:
    ws = lab.open().ws
    other = ws.acting(user="jiro", project="lab-2")
    lab.files("code", {"train.sh": b"echo hi"})
    text = PLAN + f"source: {lab.folder / 'sources' / 'code'}\n"

    own_code, foreign_code = ws.apply(text).definition.code, other.apply(text).definition.code

    assert own_code
    assert foreign_code
    assert own_code.tree == foreign_code.tree
    assert ws.show(own_code.data).project == "default"
    assert other.show(foreign_code.data).project == "lab-2"


# What is made by hand of data of another project


def test_data_of_another_project_is_an_input_for_those_who_may_read_it(two: Two) -> None:
    reader = two.own.acting(user="hana", project="default", readable=frozenset({"lab-2"}))

    made = reader.push(two.source, inputs={"photos": two.foreign.id})

    assert made.project == "default"
    with pytest.raises(UnknownId):
        reader.push(two.source, inputs={"photos": two.foreign.id[:30]})
    with pytest.raises(UnknownId):
        reader.show(two.foreign.id)


def test_data_of_another_project_is_no_input_for_anyone_else(two: Two) -> None:
    for readable in (frozenset[str](), frozenset({"lab-3"})):
        with pytest.raises(UnknownId, match=f"there is no data {two.foreign.id}"):
            two.own.acting(user="hana", project="default", readable=readable).push(
                two.source, inputs={"photos": two.foreign.id}
            )


def test_who_opens_the_workspace_may_read_all_of_it(two: Two) -> None:
    two.own.push(two.source, inputs={"photos": two.foreign.id})


def test_what_others_made_of_it_does_not_keep_data_from_being_removed(two: Two) -> None:
    base = two.other.push(two.source, ["for:others"])
    two.own.push(two.source, inputs={"base": base.id})

    assert two.other.remove(base.id, "no longer needed") == [base.id]

    base = two.own.push(two.source, ["for:others"])
    reader = two.own.acting(user="jiro", project="lab-2", readable=frozenset({"default"}))
    reader.push(two.source, inputs={"base": base.id})

    assert two.own.remove(base.id, "no longer needed") == [base.id]


def test_the_index_of_two_projects_equals_the_journal(two: Two) -> None:
    two.own.push(two.source, inputs={"photos": two.foreign.id})
    check(two.opened)


# Matching


def test_plans_take_no_data_of_another_project(lab: Lab) -> None:
    ws = lab.open().ws
    other = ws.acting(user="jiro", project="lab-2")
    source = lab.files("photos", {"a": b"a"})
    foreign = other.push(source, ["type:photos", "of:hana"])
    moment = foreign.timestamp or datetime.now(UTC)
    for name, given in {
        "each": "tags: ['type:photos']",
        "latest": "tags: ['type:photos'], take: latest",
        "all": "tags: ['type:photos'], take: all",
        "id": f"tags: ['raykqi#id:{foreign.id}']",
        "time": f"tags: ['raykqi#timestamp:{moment.isoformat()}']",
    }.items():
        ws.apply(f"name: {name}\ncommand: [/bin/sh, -c, 'true']\ninputs: [{{path: /in/data, {given}}}]\n")
    ws.apply(
        "name: join\ncommand: [/bin/sh, -c, 'true']\njoin: [of]\ninputs: [{path: /in/a, tags: ['type:photos']}, "
        "{path: /in/b, tags: ['type:photos']}]\n"
    )

    other.push(source, ["type:photos", "of:hana"])
    other.tag(foreign.id, add=["late:yes"])
    assert ws.runs() == []

    own = ws.push(source, ["type:photos", "of:hana"])

    assert sorted(run.title for run in ws.runs()) == ["all", "each", "join", "latest"]
    assert {given.data for run in ws.runs() for given in run.inputs} == {own.id}
    assert {given.data for run in ws.runs(plan="all") for given in run.inputs} == {own.id}


def test_plans_of_two_projects_make_no_cycle(lab: Lab) -> None:
    ws = lab.open().ws
    other = ws.acting(user="jiro", project="lab-2")
    other.apply(
        "command: [/bin/sh, -c, 'true']\ninputs: [{path: /in/data, tags: ['a:2']}]\n"
        "outputs: [{path: /out, tags: ['a:1']}]\n"
    )

    ws.apply(
        "command: [/bin/sh, -c, 'true']\ninputs: [{path: /in/data, tags: ['a:1']}]\n"
        "outputs: [{path: /out, tags: ['a:2']}]\n"
    )

    assert ws.plan_graph().links == ()


def test_news_of_a_project_tell_what_is_its_own(two: Two) -> None:
    two.own.push(two.source, inputs={"photos": two.foreign.id, "base": two.data.id})

    own, foreign = ([msgspec.json.encode(commit).decode() for commit in ws.commits()] for ws in (two.own, two.other))

    assert any(two.data.id in text for text in own)
    for hidden in (two.foreign.id, two.foreign_run.id, two.foreign_plan.id, "secret", "lab-2", "jiro"):
        assert not any(hidden in text for text in own)
    assert any(two.foreign.id in text for text in foreign)
    (stub,) = two.own.lineage(two.own.find(limit=1)[0].id).stubs
    assert any(stub.id in text for text in own)
