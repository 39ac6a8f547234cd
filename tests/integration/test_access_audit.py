"""Who did what when: everything that somebody did is told once, newest first, page by page."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from raykqi.domain.access import Deed, DeedQuery
from raykqi.errors import InvalidQuery
from raykqi.workspace import Workspace
from tests.integration.lab import Lab, check

PLAN = """
name: train
command: [/bin/sh, -c, "true"]
inputs: [{path: /in/data, tags: ["type:photos"]}]
outputs: [{path: /out, tags: ["type:model"]}]
"""
EVERYTHING = DeedQuery()


def told(ws: Workspace, query: DeedQuery = EVERYTHING) -> list[tuple[str, str, str, str, str]]:
    """By whom, in which project, what, to what and how; the oldest first."""
    items = ws.audit(query, limit=1000).items
    assert all(one.at >= other.at for one, other in pairwise(items))
    return [(deed.by, deed.project, deed.action, deed.subject, deed.detail) for deed in reversed(items)]


def test_everything_that_somebody_does_is_told(lab: Lab) -> None:
    opened = lab.open(user="hana")
    ws = opened.ws
    source = lab.files("photos", {"a": b"a"})
    data = ws.push(source, ["type:photos", "split:train"]).id
    ws.tag(data, add=["note:良い"], remove=["split:train"])
    ws.tag(data, remove=["note:良い"])
    plan = ws.apply(PLAN).id
    (run,) = ws.runs()
    ws.stop([run.id], fail=True)
    ws.retry([run.id])
    ws.stop([run.id], fail=True)
    ws.remove_runs([run.id], "wrong")
    ws.deactivate(plan)
    ws.change_limits(plan, running=2)
    ws.activate(plan)
    ws.purge(data, "too big")
    ws.remove(data, "a mistake")
    ws.add_user("mika", is_admin=True)
    ws.add_user("taro", is_admin=True)
    ws.create_project("lab", title="実験")
    ws.change_project("lab", title="Lab")
    ws.set_member("taro", "viewer", project="lab")
    token, _ = ws.issue_token("ci", user="taro", project="lab")
    ws.revoke_token(token)
    ws.remove_member("taro", project="lab")
    ws.change_user("taro", is_admin=False, is_disabled=True)
    ws.remove_user("taro")
    ws.remove_project("lab")

    removed = [deed for deed in told(ws) if deed[2] == "data.removed"]
    others = [deed for deed in told(ws) if deed[2] != "data.removed"]
    assert [deed[1:] for deed in others] == [
        ("default", "data.pushed", data, ""),
        ("default", "tags.changed", data, "+note:良い -split:train"),
        ("default", "tags.changed", data, "-note:良い"),
        ("default", "plan.applied", plan, "train"),
        ("default", "run.stopped", run.id, "fail"),
        ("default", "run.retried", run.id, ""),
        ("default", "run.stopped", run.id, "fail"),
        ("default", "run.removed", run.id, "wrong"),
        ("default", "plan.deactivated", plan, ""),
        ("default", "plan.changed", plan, ""),
        ("default", "plan.activated", plan, ""),
        ("default", "data.purged", data, "too big"),
        ("", "user.added", "mika", "administrator"),
        ("", "user.added", "taro", "administrator"),
        ("lab", "project.made", "lab", "実験"),
        ("lab", "project.changed", "lab", "title"),
        ("lab", "member.set", "taro", "viewer"),
        ("lab", "token.issued", token.id, "taro: ci"),
        ("lab", "token.revoked", token.id, "taro"),
        ("lab", "member.removed", "taro", ""),
        ("", "user.changed", "taro", "no administrator, disabled"),
        ("", "user.removed", "taro", ""),
        ("lab", "project.removed", "lab", ""),
    ]
    assert ("hana", "default", "data.removed", data, "a mistake") in removed
    assert {deed[0] for deed in others} == {"hana"}
    check(opened)


@pytest.fixture(scope="module")
def ws(shared_lab: Lab) -> Workspace:
    """Twelve deeds of two people in two projects."""
    ws = shared_lab.open(user="hana").ws
    ws.create_project("lab")
    taro = ws.acting(user="taro", project="lab")
    source = shared_lab.files("photos", {"a": b"a"})
    for number in range(5):
        ws.push(source, [f"n:{number}"])
    data = [taro.push(source, ["x:y"]).id for _ in range(3)]
    taro.tag(data, add=["seen:yes"])
    return ws


def test_pages_follow_each_other_without_gaps(ws: Workspace) -> None:
    everything = ws.audit(EVERYTHING, limit=1000).items
    pages: list[Deed] = []
    cursor = ""
    while True:
        page = ws.audit(EVERYTHING, limit=2, cursor=cursor)
        pages += page.items
        if not (cursor := page.next_cursor):
            break

    assert pages == list(everything)
    assert len(pages) == 12


@pytest.mark.parametrize(
    ("query", "count"),
    [
        (DeedQuery(project="lab"), 7),
        (DeedQuery(project="default"), 5),
        (DeedQuery(project="nowhere"), 0),
        (DeedQuery(by="taro"), 6),
        (DeedQuery(by="taro", action="data.pushed"), 3),
        (DeedQuery(action="data.imported"), 0),
        (DeedQuery(action="tags.changed", project="lab"), 3),
        (DeedQuery(action="project.made"), 1),
        (DeedQuery(action="plan.applied"), 0),
        (DeedQuery(subject="lab"), 1),
        (DeedQuery(subject="not an id"), 0),
        (DeedQuery(subject="'; DROP TABLE deed; --"), 0),
    ],
)
def test_what_is_asked_for_is_told(ws: Workspace, query: DeedQuery, count: int) -> None:
    assert len(ws.audit(query).items) == count


def test_a_data_tells_what_was_done_to_it(ws: Workspace) -> None:
    data = ws.acting(user="taro", project="lab").find()[0].id

    assert [deed[2] for deed in told(ws, DeedQuery(subject=data))] == ["data.pushed", "tags.changed"]


def test_times_bound_the_question(ws: Workspace) -> None:
    last, before, *_, first = ws.audit(EVERYTHING, limit=1000).items
    step = timedelta(microseconds=1)

    assert ws.audit(DeedQuery(since=last.at + step)).items == ()
    assert len(ws.audit(DeedQuery(since=first.at)).items) == 12
    assert [deed.at for deed in ws.audit(DeedQuery(until=first.at + step)).items] == [first.at]
    assert before.at == last.at


def test_without_a_question_it_is_about_the_own_project(ws: Workspace) -> None:
    assert {deed.project for deed in ws.audit().items} == {"default"}


@pytest.mark.parametrize("cursor", ["x", "00", "日本", "7b7d"])
def test_a_cursor_that_is_none_is_refused(ws: Workspace, cursor: str) -> None:
    with pytest.raises(InvalidQuery, match="is no cursor"):
        ws.audit(EVERYTHING, cursor=cursor)


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_page_has_a_size(ws: Workspace, limit: int) -> None:
    with pytest.raises(InvalidQuery):
        ws.audit(EVERYTHING, limit=limit)
