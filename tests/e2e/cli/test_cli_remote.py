"""The command line at a server: signing in, and every noun over HTTP as it is where the store is."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from raykqi.opening import create_workspace, open_parts
from raykqi.settings import Settings
from raykqi.workspace import Workspace
from tests.e2e.cli.conftest import CommandLine, environment
from tests.integration.over_http import serving_http

PASSWORD = "correct horse battery"
NEVER_REMOTE = {"ray", "fastapi", "starlette", "duckdb", "sqlmodel", "numpy", "pyarrow", "fsspec"}


@dataclass(frozen=True)
class Server:
    url: str
    workspace: Workspace
    root: str  # a token of an administrator


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """mika looks after the workspace; hanako is a member of the project vision."""
    settings = Settings(user="tester", cache_dir=tmp_path / "server-cache")
    store = tmp_path / "store"
    create_workspace(str(store), settings)
    with Workspace(open_parts(str(store), settings), settings) as workspace:
        workspace.add_user("mika", password=PASSWORD, is_admin=True)
        workspace.add_user("hanako", password=PASSWORD)
        workspace.create_project("vision")
        workspace.set_member("hanako", "member", project="vision")
        _, token = workspace.issue_token("tests", user="mika")
        with serving_http(workspace) as url:
            yield Server(url, workspace, token)


@pytest.fixture
def at(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Somewhere else, with nothing but the address of the server in the environment."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("RAYKQI_USER", "lena")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return CommandLine(folder, monkeypatch)


@pytest.fixture
def admin(at: CommandLine, server: Server, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.setenv("RAYKQI_URL", server.url)
    monkeypatch.setenv("RAYKQI_TOKEN", server.root)
    return at


def test_a_sign_in_is_remembered_for_its_owner_alone(at: CommandLine, server: Server, tmp_path: Path) -> None:
    said = at.ok("login", server.url, "--user", "hanako", "--profile", "lab", stdin=f"{PASSWORD}\n")

    assert said.lines == [f"hanako at {server.url}, as profile lab", "  vision  member"]
    file = tmp_path / "config" / "raykqi" / "profiles.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["profiles"]["lab"]["project"] == "vision"
    assert at.ok("whoami").lines == [f"hanako at {server.url}, in project vision", "  vision  member"]
    assert at.ok("profile", "show", "--json").json == {
        "name": "lab", "url": server.url, "user": "hanako", "project": "vision", "has_token": True, "is_current": True,
    }  # fmt: skip


def test_a_wrong_password_is_refused_and_nothing_is_kept(at: CommandLine, server: Server, tmp_path: Path) -> None:
    refused = at("login", server.url, "--user", "hanako", stdin="wrong\n")

    assert (refused.code, refused.out) == (8, b"")
    assert refused.err.splitlines()[0] == "error: user or password is wrong"
    assert not (tmp_path / "config").exists()


def test_a_token_may_come_by_stdin_or_in_the_address(at: CommandLine, server: Server) -> None:
    by_stdin = at.ok("login", server.url, "--token", "-", stdin=f"{server.root}\n")
    in_address = at.ok("login", f"{server.url}/?token={server.root}")

    assert by_stdin.lines[0].startswith(f"mika at {server.url}, as profile 127.0.0.1-")
    assert in_address.lines == by_stdin.lines
    assert len(at.ok("profile", "list", "--json").json) == 1


def test_what_a_browser_shows_may_be_pasted_whole(at: CommandLine, server: Server) -> None:
    shown = json.dumps({"token": {"id": "x", "user": "mika"}, "text": server.root})

    said = at("login", server.url, "--oidc", "--profile", "lab", stdin=f"{shown}\n")

    assert said.code == 0
    assert f"Sign in at {server.url}/api/v1/login/oidc?answer=token" in said.err
    assert said.lines[0] == f"mika at {server.url}, as profile lab"


def test_after_a_logout_the_token_is_taken_by_nobody(at: CommandLine, server: Server, tmp_path: Path) -> None:
    at.ok("login", server.url, "--user", "hanako", "--profile", "lab", stdin=f"{PASSWORD}\n")
    kept = json.loads((tmp_path / "config" / "raykqi" / "profiles.json").read_text())["profiles"]["lab"]["token"]

    assert at.ok("logout", "--json").json == {"profile": "lab", "url": server.url, "revoked": True}

    assert kept not in (tmp_path / "config" / "raykqi" / "profiles.json").read_text()
    assert at("data", "find").code == 8
    refused = at("-w", f"{server.url}/?token={kept}", "data", "find")
    assert refused.code == 8
    assert kept not in refused.err


def test_a_logout_says_when_the_server_could_not_be_told(at: CommandLine, server: Server, tmp_path: Path) -> None:
    at.ok("login", server.url, "--user", "hanako", "--profile", "lab", stdin=f"{PASSWORD}\n")
    file = tmp_path / "config" / "raykqi" / "profiles.json"
    file.write_text(file.read_text().replace(server.url, "http://127.0.0.1:1"))

    said = at("logout")

    assert said.code == 0
    assert said.lines == ["lab: signed out of http://127.0.0.1:1"]
    assert "could not be told" in said.err
    assert not json.loads(file.read_text())["profiles"]["lab"].get("token")


def test_profiles_are_switched_and_forgotten(at: CommandLine, server: Server) -> None:
    for name, user in (("mine", "hanako"), ("root", "mika")):
        at.ok("login", server.url, "--user", user, "--profile", name, stdin=f"{PASSWORD}\n")

    assert at.ok("whoami", "--json").json["user"] == "mika"
    assert at.ok("whoami", "--profile", "mine", "--json").json["user"] == "hanako"
    at.ok("profile", "use", "mine")
    assert at.ok("whoami", "--json").json["user"] == "hanako"
    at.ok("profile", "remove", "root")
    assert [each["name"] for each in at.ok("profile", "list", "--json").json] == ["mine"]
    assert at("whoami", "--profile", "root").code == 3


def test_data_go_there_and_come_back(admin: CommandLine) -> None:
    admin.write("photos/桜.txt", "春")
    data = admin.push("photos", "-n", "-t", "type:photos")

    assert admin.ok("data", "find", "-t", "type:photos", "-q").lines == [data]
    assert admin.ok("data", "ls", data).lines == ["桜.txt"]
    assert admin.ok("data", "cat", data, "桜.txt").text == "春"
    assert admin.ok("data", "pull", data, "back").lines == ["back"]
    assert (admin.folder / "back" / "桜.txt").read_text() == "春"
    admin.ok("data", "tag", data, "--add", "stage:prod")
    assert admin.ok("tag", "list", "--key", "stage", "--json").json == [{"key": "stage", "value": "prod", "count": 1}]
    assert admin.ok("data", "show", data, "--json").json["creator"] == "mika"
    assert admin.ok("lineage", "show", data, "--json").json["data"][0]["id"] == data
    assert admin.ok("data", "rm", data, "--reason", "done", "--json").json == [data]
    assert admin("data", "pull", data, "again").code == 3


def test_plans_and_runs_are_looked_after_from_elsewhere(admin: CommandLine) -> None:
    admin.write("train.yaml", "name: train\ncommand: [/bin/sh, -c, 'true']\ninputs: [{path: /in/d, tags: ['a:1']}]\n")
    admin.write("function.py", FUNCTION)
    data = admin.push("one", "-t", "a:1")

    plan = admin("plan", "apply", "train.yaml").out.decode().strip()
    function = admin("plan", "apply", "function.py").out.decode().strip()

    assert admin.ok("plan", "find", "--json").json[0]["id"] == function
    assert admin.ok("plan", "show", "train", "--json").json["id"] == plan
    assert admin.ok("plan", "graph", "--json").code == 0
    assert admin.ok("why", "train", data).lines[0] == "yes, as d: it is in 1 run"
    code = admin.ok("plan", "show", function, "--json").json["definition"]["code"]["data"]
    assert admin.ok("data", "ls", code).lines == ["function.py"]
    (run,) = admin.ok("run", "find", "--plan", "train", "-q").lines
    assert admin.ok("run", "show", run, "--json").json["status"] == "waiting"
    assert admin.ok("run", "stop", "--fail", run, "--json").json[0]["status"] == "failed"
    assert admin.ok("run", "top", "--once", "--json").json["counts"] == {"waiting": 1, "failed": 1}
    assert admin.ok("plan", "deactivate", "train", "--json").json["active"] is False


def test_projects_users_and_tokens_are_looked_after(admin: CommandLine, server: Server) -> None:
    admin.ok("project", "create", "speech", "--title", "音声")
    admin.ok("user", "add", "taro", "--title", "山田 太郎")
    admin.ok("project", "add", "taro", "manager", "--project", "speech")
    token = admin.ok("token", "create", "robot", "--user", "taro", "--in", "speech", "--role", "member").lines[0]

    as_taro = ("-w", f"{server.url}/?token={token}", "--project", "speech")
    assert admin.ok(*as_taro, "whoami", "--json").json["roles"] == {"speech": "member"}
    assert [each["name"] for each in admin.ok(*as_taro, "project", "list", "--json").json] == ["speech"]
    refused = admin(*as_taro, "user", "list", "--json")
    assert (refused.code, refused.error["type"]) == (8, "Forbidden")

    assert admin.ok("project", "quota", "speech", "--gpus", "2", "--storage", "1TiB", "--json").json["quota"] == {
        "cpu": None, "memory": None, "gpu": 2.0, "running": None, "storage": 1 << 40,
    }  # fmt: skip
    assert admin.ok("project", "members", "speech", "--json").json == [
        {"user": "taro", "role": "manager", "project": "speech"}
    ]
    assert admin.ok("project", "usage", "speech", "--json").json["data"] == 0
    stored = [line for line in admin.ok("project", "usage", "speech").lines if line.startswith("storage")]
    assert stored == ["storage   0 B in 0 data  of 1.0 TiB"]
    assert admin.ok("project", "role", "taro", "viewer", "--project", "speech").lines == ["taro is viewer of speech."]
    admin.ok("project", "remove", "taro", "--project", "speech")
    (known,) = admin.ok("token", "list", "--user", "taro", "--json").json
    assert admin.ok("token", "revoke", known["id"]).lines == [known["id"]]
    assert admin(*as_taro, "whoami").code == 8
    admin.ok("user", "change", "taro", "--disable")
    admin.ok("user", "remove", "taro")
    admin.ok("project", "delete", "speech")
    told = {deed["action"] for deed in admin.ok("audit", "--all", "--by", "mika", "--json").json}
    assert len(told) >= 8


def test_the_same_commands_work_where_the_store_is(cli: CommandLine) -> None:
    cli.ok("project", "create", "speech")
    cli.ok("user", "add", "taro", "--password", stdin=f"{PASSWORD}\n")
    cli.ok("project", "add", "taro", "--project", "speech")

    assert cli.ok("project", "members", "speech", "--json").json[0]["role"] == "member"
    assert cli.ok("whoami", "--json").json["is_admin"] is True
    assert cli.ok("data", "find", "--project", "speech", "--json").json == []
    assert cli.ok("audit", "--all", "--json").json[0]["by"] == "lena"


def test_one_changes_ones_own_password(at: CommandLine, server: Server) -> None:
    at.ok("login", server.url, "--user", "hanako", stdin=f"{PASSWORD}\n")

    at.ok("user", "password", stdin=f"{PASSWORD}\neight horses, one cart\n")

    assert at("login", server.url, "--user", "hanako", stdin=f"{PASSWORD}\n").code == 8
    at.ok("login", server.url, "--user", "hanako", stdin="eight horses, one cart\n")


def test_upkeep_is_done_where_the_store_is(admin: CommandLine) -> None:
    admin.push("one")

    assert admin.ok("fsck").text.endswith("--deep reads every byte).\n")
    assert admin.ok("gc", "--dry-run", "--json").json["dry_run"] is True
    assert admin.ok("doctor", "--json").json[0]["subject"] == "workspace"
    assert admin.ok("snapshot", "--json").json["snapshot"].startswith("snapshots/")


def test_what_needs_the_store_says_where_to_do_it(admin: CommandLine, server: Server) -> None:
    made = admin("init", f"{server.url}/?token={server.root}")
    served = admin("-w", f"{server.url}/?token={server.root}", "work")

    assert (made.code, served.code) == (4, 4)
    assert server.root not in made.err + served.err
    assert "a server serves one that is there" in made.err
    assert "--workspace FOLDER or s3://bucket/prefix" in served.err


def test_a_workspace_nearby_is_meant_before_a_server(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYKQI_URL", "http://127.0.0.1:9")

    assert cli.ok("data", "find", "-q").lines == []


def test_a_server_of_this_machine_is_found_by_itself(at: CommandLine, server: Server, tmp_path: Path) -> None:
    record = tmp_path / "state" / "raykqi" / "servers" / f"{server.workspace.id}.json"
    record.parent.mkdir(parents=True)
    facts = {"url": server.url, "token": server.root, "workspace": server.workspace.url, "pid": os.getpid()}
    record.write_text(json.dumps(facts))

    assert at.ok("whoami").lines[0] == f"mika at {server.url}, in project default"


def test_without_any_server_it_says_what_to_do(at: CommandLine) -> None:
    lost = at("data", "find")

    assert lost.code == 3
    assert "`raykqi login URL` remembers a server" in lost.err


def test_a_question_to_a_server_loads_neither_the_index_nor_a_server(admin: CommandLine) -> None:
    timed = [sys.executable, "-X", "importtime", "-m", "cli.main", "data", "find"]
    ended = subprocess.run(timed, cwd=admin.folder, env=environment(), capture_output=True, text=True, check=True)
    loaded = {found[1].split(".")[0] for found in re.finditer(r"^import time:.*\| +(\S+)$", ended.stderr, re.MULTILINE)}

    assert "httpx" in loaded
    assert loaded & NEVER_REMOTE == set()


def test_the_shell_completes_from_a_server(admin: CommandLine) -> None:
    data = admin.push("one", "-t", "type:photos")
    line = f"raykqi data show {data[:4]}"
    asked = {"_RAYKQI_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": "3"}

    ended = subprocess.run(
        [sys.executable, "-m", "cli.main"], cwd=admin.folder, env=environment(asked), capture_output=True, check=False
    )

    assert ended.stdout.decode().split() == [data]


FUNCTION = """
from pathlib import Path

import raykqi


@raykqi.plan(inputs={"data": ["a:1"]})
def count(data: Path, epochs: int = 1) -> None:
    print(epochs)
"""
