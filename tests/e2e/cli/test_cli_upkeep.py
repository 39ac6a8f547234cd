"""`raykqi init`, `snapshot`, `rebuild`, `compact`, `gc`, `fsck`, `doctor`, and what all commands share."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from raykqi.journal.segments import SETTLED_AFTER
from tests.e2e.cli.conftest import CommandLine


def test_init_makes_a_workspace_where_it_is_told(bare: CommandLine) -> None:
    here = bare.ok("init").lines
    there = bare.ok("init", "elsewhere/ws", "--json").json

    assert here == [str(bare.folder / ".raykqi")]
    assert there["url"] == str(bare.folder / "elsewhere/ws")
    assert Path("elsewhere/ws/workspace.json").is_file()


def test_init_follows_the_workspace_that_is_named_otherwise(bare: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bare.ok("-w", "named", "init").lines == [str(bare.folder / "named")]
    monkeypatch.setenv("RAYKQI_WORKSPACE", "from-environment")
    assert bare.ok("init").lines == [str(bare.folder / "from-environment")]


def test_the_workspace_may_be_named_before_or_after_the_command(cli: CommandLine) -> None:
    cli.push("here")
    cli.ok("init", "other")

    assert cli.ok("-w", "other", "data", "find", "-q").lines == []
    assert cli.ok("data", "find", "-q", "--workspace", "other").lines == []
    assert len(cli.ok("data", "find", "-q").lines) == 1


def test_json_may_be_asked_for_before_or_after_the_command(cli: CommandLine) -> None:
    assert cli.ok("--json", "data", "find").json == cli.ok("data", "find", "--json").json == []
    assert set(cli.ok("--json", "--version").json) == {"version"}


def test_a_workspace_is_found_from_a_folder_below(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    data = cli.push("here")
    (cli.folder / "a/b").mkdir(parents=True)
    monkeypatch.chdir("a/b")

    assert cli.ok("data", "find", "-q").lines == [data]


def test_snapshot_says_where_the_tables_are(cli: CommandLine) -> None:
    cli.push("made")

    (url,) = cli.ok("snapshot").lines

    assert Path(url, "data.parquet").is_file()
    assert cli.ok("snapshot", "--json").json["url"] == url


def test_rebuild_keeps_everything(cli: CommandLine) -> None:
    before = [cli.push("one", "-t", "a:b"), cli.ok("data", "find", "--json").json]
    cli.ok("snapshot")

    assert cli.ok("rebuild", "--json").json["from_snapshot"] is True
    assert cli.ok("rebuild", "--from-journal", "--json").json["from_snapshot"] is False

    assert cli.ok("data", "find", "--json").json == before[1]


def entries(cli: CommandLine) -> list[Path]:
    return sorted((cli.folder / ".raykqi/journal").glob("*.jsonl"))


def test_compact_joins_what_has_settled_and_says_how_many(cli: CommandLine) -> None:
    for name in ("a", "b", "c"):
        cli.push(name)
    for entry in entries(cli)[:2]:
        os.utime(entry, (1_700_000_000, 1_700_000_000))

    assert cli.ok("compact").lines == ["2 entries joined."]

    assert [entry.stem for entry in entries(cli)] == ["00000000000000000003"]
    assert len(cli.ok("data", "find", "-q").lines) == 3


def test_compact_right_after_work_says_why_it_does_nothing(cli: CommandLine) -> None:
    cli.push("a")
    cli.push("b")

    assert cli.ok("compact", "--json").json == {"entries": 0}
    assert cli.ok("compact").lines == [
        "There was nothing to join: the last entry, and those less than 15 minutes older, are left alone."
    ]
    assert SETTLED_AFTER == 15 * 60


def test_gc_shows_first_and_frees_then(cli: CommandLine) -> None:
    cli.ok("data", "purge", cli.push("made"), "--reason", "old")
    everything = ("--grace", "0s")

    assert cli.ok("gc", "--json").json["objects"] == []
    assert cli.ok("gc").lines[1].startswith("Not needed either, but younger than 1h: 2 objects, ")
    shown = cli.ok("gc", "--dry-run", "--json", *everything).json
    listed = cli.ok("gc", "--dry-run", *everything).lines
    freed = cli.ok("gc", "--json", *everything).json

    assert shown["dry_run"] is True
    assert (len(shown["objects"]), shown["bytes"] > 0) == (2, True)
    assert listed[:-1] == shown["objects"] == freed["objects"]
    assert listed[-1].startswith("Would free 2 objects, ")
    assert cli.ok("gc", *everything).lines == ["Freed 0 objects, 0 B."]


def test_fsck_is_quiet_about_a_sound_workspace(cli: CommandLine) -> None:
    cli.push("made")

    assert cli.ok("fsck", "--deep").lines == ["1 entry, 1 data, 2 objects: clean."]
    assert cli.ok("fsck").lines == ["1 entry, 1 data, 2 objects: clean (presence and sizes; --deep reads every byte)."]
    assert cli.ok("fsck", "--json").json["clean"] is True


def test_fsck_names_what_is_damaged_and_exits_with_7(cli: CommandLine) -> None:
    data = cli.push("made")
    (pack,) = (cli.folder / ".raykqi/packs").rglob("??/*")
    pack.chmod(0o600)
    pack.write_bytes(b"?" * pack.stat().st_size)

    told = cli("fsck", "--deep")
    record = cli("fsck", "--deep", "--json")

    assert (told.code, record.code) == (7, 7)
    assert pack.name in told.text
    assert data in told.text
    assert record.json["sound"] is False
    assert data in record.json["problems"][0]["data"]


def test_doctor_finds_a_new_workspace_in_good_health(cli: CommandLine) -> None:
    findings = cli.ok("doctor", "--json").json

    assert {finding["state"] for finding in findings} == {"good"}
    assert {"workspace", "storage", "index"} <= {finding["subject"] for finding in findings}
    assert all(line.startswith("ok ") for line in cli.ok("doctor").lines)


def test_a_damaged_journal_stops_everything_but_what_mends_it(cli: CommandLine) -> None:
    for name in ("a", "b"):
        cli.push(name)
    first = entries(cli)[0]
    first.chmod(0o600)
    first.write_bytes(first.read_bytes().replace(b"lena", b"lisa"))
    shutil.rmtree(".raykqi/index")

    refused, checked, examined = cli("data", "find"), cli("fsck"), cli("doctor")

    assert (refused.code, first.name in refused.err) == (7, True)
    assert (checked.code, first.name in checked.text) == (7, True)
    assert (examined.err, examined.text.startswith("ok       workspace ")) == ("", True)


def test_a_snapshot_saves_what_a_lost_entry_said(cli: CommandLine) -> None:
    ids = [cli.push("a"), cli.push("b")]
    entries(cli)[0].unlink()

    cli.ok("snapshot")
    shutil.rmtree(".raykqi/index")
    cli.ok("rebuild")

    assert cli.ok("data", "find", "-q", "--oldest-first").lines == ids
