"""Which server is meant, and which token it gets: never that of another."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from raykqi.client.profiles import Profile, Profiles, write_profiles
from raykqi.client.target import Target, address_of, find_target, local_servers, target_at
from raykqi.errors import Conflict, InvalidInput, NotFound, WorkspaceMissing
from raykqi.settings import ServerSettings

LAB, HOME = "https://lab.example", "http://127.0.0.1:8000"


@pytest.fixture
def settings(tmp_path: Path) -> ServerSettings:
    return ServerSettings(profiles=tmp_path / "profiles.json", records=tmp_path / "servers")


def keep(settings: ServerSettings, **profiles: Profile) -> None:
    kept = Profiles()
    for name, profile in profiles.items():
        kept = kept.keeping(name, profile)
    write_profiles(settings.profiles, kept)


def record(settings: ServerSettings, name: str, url: str, *, pid: int, token: str = "rkq_local") -> None:
    settings.records.mkdir(exist_ok=True)
    facts = {"url": url, "token": token, "workspace": "/lab/.raykqi", "pid": pid, "more": "later versions"}
    (settings.records / f"{name}.json").write_text(json.dumps(facts))


@pytest.mark.parametrize(
    ("written", "address", "token"),
    [
        ("https://Lab.Example/", "https://lab.example", ""),
        ("https://lab.example:443", "https://lab.example", ""),
        ("http://lab.example:80/raykqi/", "http://lab.example/raykqi", ""),
        ("http://127.0.0.1:8000/?token=rkq_1_x", "http://127.0.0.1:8000", "rkq_1_x"),
        ("http://[::1]:8000", "http://[::1]:8000", ""),
    ],
)
def test_an_address_is_always_written_the_same_way(written: str, address: str, token: str) -> None:
    assert address_of(written) == (address, token)


@pytest.mark.parametrize(
    "written",
    [
        "lab.example",
        "ftp://lab.example",
        "https://",
        "http://lab:99999",
        "https://me:secret@lab",
        "http://lab?x=secret",
    ],
)
def test_what_is_no_address_is_refused_without_its_secrets(written: str) -> None:
    with pytest.raises(InvalidInput, match="is no address of a server") as refused:
        address_of(written)

    assert "secret" not in str(refused.value)


def test_a_token_goes_only_to_the_server_that_it_is_for(settings: ServerSettings) -> None:
    keep(settings, lab=Profile(LAB, "rkq_lab", "hanako", "vision"))
    record(settings, "one", HOME, pid=os.getpid())
    mine = replace(settings, url=LAB, token="rkq_env")

    assert target_at(LAB, settings) == Target(LAB, "rkq_lab", "vision")
    assert target_at(LAB, mine).token == "rkq_env"
    assert target_at("https://other.example", mine).token == ""
    assert target_at(HOME, mine).token == "rkq_local"
    assert target_at(f"{HOME}?token=rkq_given", mine).token == "rkq_given"
    assert target_at(LAB, mine, token="").token == ""
    assert target_at(LAB, settings, project="speech").project == "speech"


def test_a_token_is_in_no_text_about_a_target() -> None:
    assert "secret" not in repr(Target(LAB, "secret"))


def test_a_profile_then_the_environment_then_a_server_of_this_machine(settings: ServerSettings) -> None:
    record(settings, "one", HOME, pid=os.getpid())

    assert find_target(settings) == Target(HOME, "rkq_local", "default", "a server of this machine")

    keep(settings, old=Profile("https://old.example", "rkq_old"), lab=Profile(LAB, "rkq_lab"))
    assert (find_target(settings).url, find_target(settings).said_by) == (LAB, "profile lab")
    assert find_target(settings, profile="old").token == "rkq_old"
    assert find_target(replace(settings, profile="old")).url == "https://old.example"

    env = replace(settings, url="https://env.example", token="rkq_env", profile="old")
    assert find_target(env) == Target("https://env.example", "rkq_env", "default", "RAYKQI_URL")
    assert find_target(env, profile="old").token == "rkq_old"
    with pytest.raises(NotFound, match="there is no profile 'work'"):
        find_target(settings, profile="work")


def test_servers_that_are_gone_do_not_count(settings: ServerSettings) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    record(settings, "gone", "http://127.0.0.1:1", pid=ended.pid)
    (settings.records / "torn.json").write_text('{"url": ')

    assert list(local_servers(settings.records)) == []
    with pytest.raises(WorkspaceMissing, match="none is up on this machine"):
        find_target(settings)


def test_of_several_servers_none_is_guessed(settings: ServerSettings) -> None:
    record(settings, "one", HOME, pid=os.getpid())
    record(settings, "two", "http://127.0.0.1:8001", pid=os.getpid())

    with pytest.raises(Conflict, match="2 servers are up on this machine") as refused:
        find_target(settings)

    assert "rkq_local" not in str(refused.value)


def test_a_project_must_have_a_name_that_projects_have(settings: ServerSettings) -> None:
    with pytest.raises(InvalidInput, match="'Vision!' is no name of a project"):
        target_at(LAB, settings, project="Vision!")
