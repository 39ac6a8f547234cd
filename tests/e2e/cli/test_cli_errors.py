"""Errors a user meets: what, which value, what to do; a stable exit code; nothing on stdout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.cli.conftest import CommandLine


def test_an_error_says_what_and_what_to_do(bare: CommandLine) -> None:
    result = bare("data", "find")

    assert (result.code, result.out) == (3, b"")
    what, hint = result.err.splitlines()
    assert what.startswith("error: no workspace was named, neither ")
    assert what.endswith(" nor a folder above it has a .raykqi, and no server is known")
    assert hint.startswith("hint: `raykqi init` makes one here")


@pytest.mark.parametrize(
    ("arguments", "code", "kind"),
    [
        (["data", "push", "made", "-t", "nocolon"], 2, "InvalidTag"),
        (["data", "push", "made", "-t", "raykqi#id:x"], 2, "InvalidTag"),
        (["data", "push", "missing"], 2, "InvalidInput"),
        (["data", "find", "--since", "someday"], 2, "InvalidInput"),
        (["data", "find", "--min-size", "10XB"], 2, "InvalidInput"),
        (["data", "find", "--limit", "0"], 2, "InvalidInput"),
        (["data", "find", "--transient", "maybe"], 2, "InvalidInput"),
        (["data", "find", "--since", "1h", "--until", "now", "--duration", "1h"], 2, "InvalidInput"),
        (["data", "tag", "ffffffff"], 2, "InvalidInput"),
        (["data", "tag", "-", "--add", "a:b"], 2, "InvalidInput"),
        (["data", "show", "no id"], 2, "InvalidInput"),
        (["data", "show", "ffffffff"], 3, "UnknownId"),
        (["lineage", "show", "ffffffff"], 3, "UnknownId"),
        (["gc", "--grace", "soon"], 2, "InvalidInput"),
        (["init"], 4, "WorkspaceExists"),
        (["-w", "nowhere", "data", "find"], 3, "WorkspaceMissing"),
        (["data", "find", "--colour"], 2, "UsageError"),
        (["data", "fnid"], 2, "UsageError"),
        (["data", "show"], 2, "UsageError"),
    ],
)
def test_wrong_input_has_its_type_and_exit_code(cli: CommandLine, arguments: list[str], code: int, kind: str) -> None:
    cli.write("made")

    told, recorded = cli(*arguments), cli(*arguments, "--json")

    assert (told.code, recorded.code) == (code, code)
    assert told.out == b""
    assert told.err.startswith("error: ")
    assert recorded.error["type"] == kind
    assert recorded.error["exit"] == code
    assert recorded.error["message"]
    assert recorded.error["hint"]


def test_an_ambiguous_id_lists_its_candidates(cli: CommandLine) -> None:
    ids = [cli.push("one"), cli.push("other")]
    prefix = ids[0][:6]
    assert ids[1].startswith(prefix)

    told, recorded = cli("data", "show", prefix), cli("data", "show", prefix, "--json")

    assert (told.code, recorded.code) == (3, 3)
    assert all(data in told.err for data in ids)
    assert recorded.error["candidates"] == ids
    assert recorded.error["status"] == 409


def test_data_that_others_were_made_of_is_not_removed(cli: CommandLine) -> None:
    raw = cli.push("raw")
    made = cli.push("made", "--from", raw)

    result = cli("data", "rm", raw, "--reason", "wrong")

    assert (result.code, made in result.err) == (4, True)
    assert cli.ok("data", "find", "-q").lines == [made, raw]


def test_a_workspace_of_a_later_format_is_left_alone(cli: CommandLine) -> None:
    file = Path(".raykqi/workspace.json")
    file.chmod(0o600)
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 99}))

    result = cli("data", "find", "--json")

    assert (result.code, result.error["type"]) == (5, "WorkspaceTooNew")


def test_damaged_bytes_end_with_7(cli: CommandLine) -> None:
    data = cli.push("made")
    (pack,) = Path(".raykqi/packs").rglob("??/*")
    pack.chmod(0o600)
    pack.write_bytes(b"?" * pack.stat().st_size)

    result = cli("data", "cat", data, "made")

    assert result.code == 7
    assert "made" in result.err


def test_what_steers_a_terminal_is_shown_and_not_done(cli: CommandLine) -> None:
    data = cli.push("made", "-t", "evil:\x1b[2Jgone\u202e")

    table, shown = cli.ok("data", "find").text, cli.ok("data", "show", data).text

    assert "\x1b" not in table + shown
    assert "\u202e" not in table + shown
    assert r"evil:\x1b[2Jgone" in shown


def test_a_group_without_a_command_shows_its_help(cli: CommandLine) -> None:
    result = cli("data")

    assert result.code == 2
    assert "Usage: raykqi data" in result.err
    assert "push" in result.err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["init"],
        ["data"],
        *(["data", verb] for verb in ("push", "pull", "find", "show", "ls", "cat", "tag", "import", "rm", "purge")),
        ["tag", "list"],
        *(["lineage", verb] for verb in ("show", "path", "impact", "diff")),
        *([verb] for verb in ("snapshot", "rebuild", "compact", "gc", "fsck", "doctor")),
    ],
    ids=" ".join,
)
def test_every_command_explains_itself(bare: CommandLine, words: list[str]) -> None:
    shown = bare.ok(*words, "--help").text

    assert shown.startswith(f"Usage: {' '.join(['raykqi', *words])}")
    if words and words != ["data"]:
        assert f"Examples:\n\n    raykqi {' '.join(words)}" in shown
        assert "--json" in shown
        assert "--workspace" in shown
