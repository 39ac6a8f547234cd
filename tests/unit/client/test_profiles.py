"""Profiles: kept for their owner alone, and no token in any text."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from raykqi.client.profiles import Profile, Profiles, check_profile, read_profiles, write_profiles
from raykqi.errors import Damaged, InvalidInput, NotFound, StorageDenied

LAB = Profile("https://lab.example", "rkq_1_secret", "hanako", "vision")
HOME = Profile("http://127.0.0.1:8000")


def test_profiles_come_back_as_they_were_kept(tmp_path: Path) -> None:
    file = tmp_path / "config" / "raykqi" / "profiles.json"

    write_profiles(file, Profiles().keeping("lab", LAB).keeping("home", HOME))

    assert read_profiles(file) == Profiles("home", {"lab": LAB, "home": HOME})
    assert read_profiles(tmp_path / "nothing.json") == Profiles()


def test_nobody_else_can_read_them(tmp_path: Path) -> None:
    file = tmp_path / "config" / "profiles.json"
    file.parent.mkdir()
    file.write_text('{"current": "", "profiles": {}}')
    file.chmod(0o644)

    write_profiles(file, Profiles().keeping("lab", LAB))

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["profiles.json"]


def test_a_token_is_in_no_text_about_a_profile() -> None:
    assert "secret" not in repr(LAB)
    assert "secret" not in repr(Profiles("lab", {"lab": LAB}))


def test_one_is_meant_when_none_is_named() -> None:
    both = Profiles().keeping("lab", LAB).keeping("home", HOME)

    assert both.current == "home"
    assert both.using("lab").current == "lab"
    assert both.without("home") == Profiles("", {"lab": LAB})
    assert both.at("https://lab.example") == LAB
    assert both.at("https://other.example") is None
    with pytest.raises(NotFound, match="there is no profile 'work'; known: home, lab"):
        both.named("work")


def test_a_damaged_file_is_told_of_without_what_it_holds(tmp_path: Path) -> None:
    file = tmp_path / "profiles.json"
    file.write_text('{"current": "lab", "profiles": {"lab": {"token": "rkq_1_secret"')

    with pytest.raises(Damaged) as refused:
        read_profiles(file)

    assert "secret" not in f"{refused.value} {refused.value.__cause__}"


def test_where_nothing_can_be_kept_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageDenied, match="cannot write"):
        write_profiles(tmp_path / "file" / "profiles.json", Profiles())


@pytest.mark.parametrize("name", ["", "-x", "a b", "a/b", "x" * 64, "研究"])
def test_a_name_is_short_and_plain(name: str) -> None:
    with pytest.raises(InvalidInput, match="is no name of a profile"):
        check_profile(name)
