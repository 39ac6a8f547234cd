"""Every route × everybody who may ask × their own and a foreign project, made from the route table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import httpx
import pytest

from raykqi.domain.access import Caller, Role
from raykqi.domain.resources import Resources
from raykqi.domain.run_token import RunToken, sign_run_token
from raykqi.execution.local_nodes import LocalNodes
from raykqi.settings import Settings
from raykqi.storage.access_key import read_access_key
from serve_api.options import ApiOptions
from serve_api.routes import all_routes
from serve_api.routing import Route
from tests.integration.api.samples import SAMPLES
from tests.integration.api.served import Served, served

ROUTES = tuple(all_routes())
ROLES: tuple[Role, ...] = ("viewer", "member", "manager", "admin")
PEOPLE = ("nobody", "stranger", *ROLES, "workspace", "narrowed", "run", "asking")
OWN, FOREIGN = "lab", "other"
# Tested one by one: they take away what the others ask with, or ask for a password besides.
ONE_BY_ONE = {"sign_in", "sign_out", "remove_project", "change_password"}
# What a route refuses by itself: to limited tokens and to runs.
BY_ITSELF = {
    (route, name) for route in ("issue_token", "issue_endpoint_token", "revoke_token") for name in ("narrowed", "run")
}
PLAN = "name: waits\ncommand: [sleep, '600']\ninputs:\n- path: /in\n  tags: [for:waits]\n"


class Asker(NamedTuple):
    """`role` in their own project; `is_admin` of the workspace; or for an endpoint alone."""

    token: str
    role: Role | None
    is_admin: bool = False
    only_asks: bool = False


class Setting(NamedTuple):
    server: Served
    people: dict[str, Asker]
    client: httpx.Client


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    folder = tmp_path_factory.mktemp("rights")
    with served(folder, ApiOptions()) as server:
        workspace = server.workspace
        workspace.create_project(OWN)
        workspace.create_project(FOREIGN)
        people: dict[str, Asker] = {"nobody": Asker("", None)}
        for name in ("stranger", *ROLES):
            workspace.add_user(name)
            if name in ROLES:
                workspace.set_member(name, name, project=OWN)  # type: ignore[arg-type]
            role = name if name in ROLES else None
            people[name] = Asker(workspace.issue_token("t", user=name)[1], role)  # type: ignore[arg-type]
        people["workspace"] = Asker(workspace.issue_token("t", user="mika")[1], "admin", is_admin=True)
        # An administrator's token that is for one project and for looking alone.
        narrowed = workspace.issue_token("t", user="mika", project=OWN, role="viewer")[1]
        people["narrowed"] = Asker(narrowed, "viewer")
        lab = workspace.acting(user="admin", project=OWN)
        nodes = LocalNodes(Settings(cache_dir=folder / "cache"), folder / "runs", total=Resources(cpu=4000))
        with_plans = workspace.serve(nodes)
        lab.apply(PLAN)
        (run,) = lab.runs(input=lab.push(__file__, ["for:waits"]))
        lab.wait(run, until=("running",), timeout=30)
        until = datetime.now(UTC) + timedelta(hours=1)
        key = read_access_key(workspace._store)
        people["run"] = Asker(sign_run_token(RunToken(run.id, 1, OWN, until), key), "member")
        lab.deploy("digits", tags=["type:model"])
        asking = lab.issue_token("t", user="admin", endpoint="digits")[1]
        people["asking"] = Asker(asking, None, only_asks=True)
        with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client:
            yield Setting(server, people, client)
        with_plans.close()


def expected(route: Route, asker: Asker, project: str) -> int:
    """401, 403, 404 when refused; 200 when whatever else is answered is about something else."""
    if route.needs == "public":
        return 200
    if not asker.token:
        return 401
    if asker.only_asks:
        return 403
    if route.needs == "signed_in":
        return 200
    if route.needs == "workspace":
        return 200 if asker.is_admin else 403
    role = "admin" if asker.is_admin else asker.role if project == OWN else None
    if role is None:
        return 404
    return 200 if ROLES.index(role) >= ROLES.index(route.needs) else 403


def ask(setting: Setting, route: Route, asker: Asker, project: str) -> httpx.Response:
    sample = SAMPLES[route.name]
    values = {"project": project, **sample.path}
    path = re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: values[found[1]], route.path)
    headers = {"Authorization": f"Bearer {asker.token}"} if asker.token else {}
    if sample.content_type:
        headers["Content-Type"] = sample.content_type
    url = f"{path}?{sample.query}" if sample.query else path
    if sample.json is not None:
        return setting.client.request(route.method, url, headers=headers, json=sample.json)
    return setting.client.request(route.method, url, headers=headers, content=sample.content or None)


def found(response: httpx.Response) -> int:
    """What the check of rights has said."""
    if "problem" not in response.headers.get("content-type", ""):
        return 200
    problem = response.json()
    if response.status_code == 404 and problem["detail"].startswith("there is no project"):
        return 404
    return response.status_code if response.status_code in (401, 403) else 200


def test_every_route_has_a_sample() -> None:
    assert sorted(route.name for route in ROUTES if route.name not in SAMPLES) == []


@pytest.mark.parametrize(
    "route", [route for route in ROUTES if route.name not in ONE_BY_ONE], ids=lambda route: route.name
)
def test_everybody_may_what_the_table_says_and_nothing_else(setting: Setting, route: Route) -> None:
    projects = (OWN, FOREIGN, "nowhere") if "{project}" in route.path else (OWN,)
    wrong = []
    for name in PEOPLE:
        for project in projects:
            asker = setting.people[name]
            if project == "nowhere" and asker.is_admin:
                continue
            response = ask(setting, route, asker, project)
            assert response.status_code < 500, (name, project, response.text)
            wanted = expected(route, asker, project)
            wanted = 403 if wanted == 200 and (route.name, name) in BY_ITSELF else wanted
            if found(response) != wanted:
                wrong.append((name, project, response.status_code, wanted, response.text[:200]))
    assert wrong == []


@pytest.mark.parametrize("name", PEOPLE)
def test_only_administrators_of_the_workspace_remove_projects(setting: Setting, name: str) -> None:
    (route,) = (route for route in ROUTES if route.name == "remove_project")
    workspace = setting.server.workspace
    workspace.create_project(f"spare-{name}")

    response = ask(setting, route, setting.people[name], f"spare-{name}")

    assert found(response) == expected(route, setting.people[name], f"spare-{name}")
    left = [project.name for project in workspace.projects()]
    assert (f"spare-{name}" not in left) == setting.people[name].is_admin


@pytest.mark.parametrize("name", PEOPLE)
def test_a_password_is_changed_by_those_who_know_it(setting: Setting, name: str) -> None:
    (route,) = (route for route in ROUTES if route.name == "change_password")

    response = ask(setting, route, setting.people[name], OWN)

    assert response.status_code in ((401,) if name == "nobody" else (403,) if name == "asking" else (400, 401, 403))


def test_who_signs_out_cannot_come_again(setting: Setting) -> None:
    token = setting.server.workspace.issue_token("short", user="viewer")[1]
    headers = {"Authorization": f"Bearer {token}"}

    assert setting.client.get("/api/v1/me", headers=headers).status_code == 200
    assert setting.client.post("/api/v1/logout", headers=headers).status_code == 204
    assert setting.client.get("/api/v1/me", headers=headers).status_code == 401


def test_rights_that_are_taken_away_are_gone_at_once(setting: Setting) -> None:
    workspace = setting.server.workspace
    workspace.add_user("passing")
    workspace.set_member("passing", "manager", project=OWN)
    text = workspace.issue_token("t", user="passing")[1]
    headers = {"Authorization": f"Bearer {text}"}
    purge = f"/api/v1/projects/{OWN}/data/purge"
    data = f"/api/v1/projects/{OWN}/data"
    assert setting.client.get(data, headers=headers).status_code == 200

    workspace.set_member("passing", "viewer", project=OWN)
    assert setting.client.post(purge, headers=headers, json={"data": [], "reason": "x"}).status_code == 403
    workspace.remove_member("passing", project=OWN)
    assert setting.client.get(data, headers=headers).status_code == 404
    workspace.set_member("passing", "member", project=FOREIGN)
    assert setting.client.get(f"/api/v1/projects/{FOREIGN}/data", headers=headers).status_code == 200
    workspace.change_user("passing", is_disabled=True)
    assert setting.client.get("/api/v1/me", headers=headers).status_code == 401


def test_a_member_of_two_projects_sees_in_each_what_is_its_own(setting: Setting) -> None:
    workspace = setting.server.workspace
    workspace.add_user("both")
    for project in (OWN, FOREIGN):
        workspace.set_member("both", "viewer", project=project)
        workspace.acting(user="admin", project=project).push(__file__, [f"of:{project}"])
    headers = {"Authorization": f"Bearer {workspace.issue_token('t', user='both')[1]}"}

    for project, other in ((OWN, FOREIGN), (FOREIGN, OWN)):
        base = f"/api/v1/projects/{project}/data"
        (data,) = setting.client.get(f"{base}?tag=of:{project}", headers=headers).json()["items"]
        assert setting.client.get(f"{base}?tag=of:{other}", headers=headers).json()["items"] == []
        assert setting.client.get(f"/api/v1/projects/{other}/data/{data['id']}", headers=headers).status_code == 404


def test_a_token_of_a_run_ends_with_time_and_with_its_run(setting: Setting) -> None:
    workspace = setting.server.workspace
    token = setting.people["run"].token
    run = token.removeprefix("rkqrun_").partition(".")[0]
    key = read_access_key(workspace._store)
    past = RunToken(run, 1, OWN, datetime.now(UTC) - timedelta(seconds=1))
    later = RunToken(run, 2, OWN, datetime.now(UTC) + timedelta(hours=1))
    other = RunToken(run, 1, FOREIGN, datetime.now(UTC) + timedelta(hours=1))

    def status(text: str) -> int:
        return setting.client.get(
            f"/api/v1/projects/{OWN}/data", headers={"Authorization": f"Bearer {text}"}
        ).status_code

    assert status(token) == 200
    assert [status(sign_run_token(each, key)) for each in (past, later, other)] == [401, 401, 401]
    assert status(token[:-1] + ("A" if token[-1] != "A" else "B")) == 401
    assert workspace.caller(token) == Caller(f"run-{run}", roles={OWN: "member"}, run=run)
