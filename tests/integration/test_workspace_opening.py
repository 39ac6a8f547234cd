"""Opening a workspace: what must be there, whose index file is taken, and what becomes of a strange one."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import raykqi
from raykqi.domain.data import DataQuery
from raykqi.errors import Conflict, Damaged, WorkspaceExists, WorkspaceMissing, WorkspaceTooNew
from raykqi.opening import create_workspace, find_workspace
from raykqi.settings import Settings
from tests.integration.lab import Lab

_PUSH_AND_SAY_INDEX = """
import sys
from raykqi.opening import open_parts
from raykqi.settings import Settings
from raykqi.workspace import Workspace
settings = Settings(user="other", lock_timeout=20.0)
parts = open_parts(sys.argv[1], settings)
with Workspace(parts, settings) as ws:
    print(parts.keeper.index.path.name, len(ws.find()), ws.push(sys.argv[2], ["from:other"]).id)
"""


def test_each_process_takes_an_index_of_its_own_and_sees_what_others_did(lab: Lab) -> None:
    ws, parts = lab.open()
    source = lab.files("source", {"a": b"1"})
    ws.push(source)

    said = subprocess.run(
        [sys.executable, "-c", _PUSH_AND_SAY_INDEX, lab.url, str(source)],
        check=True, capture_output=True, text=True, timeout=60,
    ).stdout.split()  # fmt: skip

    assert parts.keeper.index.path == lab.index_file
    assert said[:2] == ["1.duckdb", "1"]
    assert [data.id for data in ws.find("from:other")] == [said[2]]
    assert ws.push(source).id > said[2]


def test_two_openings_in_one_process_see_each_other(lab: Lab) -> None:
    one, other = lab.open(), lab.open()
    source = lab.files("source", {"a": b"1"})

    pushed = one.ws.push(source, ["type:x"])
    other.ws.tag(pushed.id, add=["type:y"], remove=["type:x"])

    assert one.parts.keeper.index.path != other.parts.keeper.index.path
    assert [str(tag) for tag in one.ws.show(pushed.id).tags] == ["type:y"]


def test_an_index_file_is_given_back(lab: Lab) -> None:
    for _ in range(3):
        assert lab.reopen().parts.keeper.index.path == lab.index_file


def test_a_failed_opening_gives_its_index_file_back(lab: Lab) -> None:
    lab.open().ws.push(lab.files("source", {"a": b"1"}))
    lab.close()
    shutil.rmtree(lab.root / "index")
    entry = lab.root / "journal" / f"{1:020d}.jsonl"
    whole = entry.read_bytes()
    entry.write_bytes(whole.replace(b'"seq":1', b'"seq":7') + whole)
    errors = []
    for _ in range(2):
        with pytest.raises(Damaged) as refused:
            lab.open()
        errors.append(refused.value)  # keeps the frames, and what they hold, alive
    entry.write_bytes(whole)

    ws, parts = lab.open()

    assert parts.keeper.index.path == lab.index_file
    assert len(ws.find()) == 1


@pytest.mark.parametrize("damage", ["delete", "garbage", "truncate", "empty", "foreign"])
def test_an_index_file_is_disposable(
    lab: Lab, make_lab: Callable[..., Lab], damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    pushed = lab.open().ws.push(lab.files("source", {"a": b"1"}), ["type:x"])
    lab.close()
    if damage == "delete":
        lab.index_file.unlink()
    elif damage == "garbage":
        lab.index_file.write_bytes(b"not a database" * 1_000)
    elif damage == "truncate":
        lab.index_file.write_bytes(lab.index_file.read_bytes()[:5_000])
    elif damage == "empty":
        lab.index_file.write_bytes(b"")
    else:
        other = make_lab("other")
        other.open().ws.push(other.files("source", {"b": b"2"}))
        other.close()
        shutil.copy(other.index_file, lab.index_file)

    with caplog.at_level(logging.WARNING):
        ws, parts = lab.open()

    assert [data.id for data in ws.find("type:x")] == [pushed.id]
    assert ws.count(DataQuery()) == 1
    assert parts.keeper.index.path == lab.index_file
    assert bool(caplog.messages) == (damage != "delete")


def test_where_no_index_can_be_written_it_lives_in_memory(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    (lab.root / "index").write_bytes(b"a file where a folder should be")

    with caplog.at_level(logging.WARNING):
        ws, parts = lab.open()

    pushed = ws.push(lab.files("source", {"a": b"1"}))
    assert parts.keeper.index.path is None
    assert "the index lives in memory" in caplog.text
    assert [data.id for data in lab.open().ws.find()] == [pushed.id]


def test_what_is_closed_stays_closed(lab: Lab) -> None:
    ws = lab.open().ws
    pushed = ws.push(lab.files("source", {"a": b"1"}))
    ws.close()
    ws.close()

    for use in (
        ws.find,
        ws.rebuild,
        lambda: ws.show(pushed.id),
        lambda: ws.push(lab.folder),
        lambda: ws.tag(pushed.id, add=["a:1"]),
    ):
        with pytest.raises(Conflict, match="the workspace is closed"):
            use()
    assert [data.id for data in lab.open().ws.find()] == [pushed.id]


def test_a_workspace_is_made_once(lab: Lab) -> None:
    before = (lab.root / "workspace.json").read_bytes()

    with pytest.raises(WorkspaceExists, match="there is a workspace at"):
        create_workspace(lab.url, lab.settings)

    assert (lab.root / "workspace.json").read_bytes() == before
    assert json.loads(before).keys() == {"format", "id", "created"}


def test_a_folder_without_a_workspace_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceMissing, match="there is no workspace at") as refused:
        raykqi.open(tmp_path)

    assert f"raykqi init {tmp_path}" in refused.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"format": 1}',
        b'{"format": "1", "id": "01939c1c-7d1e-7b0a-9f41-0d9a6c1e2f33", "created": "2026-11-20T00:00:00Z"}',
        b'{"format": 1, "id": "\xff", "created": "2026-11-20T00:00:00Z"}',
        b'{"format": 1, "id": "../../elsewhere", "created": "2026-11-20T00:00:00Z"}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_description_is_named(lab: Lab, text: bytes) -> None:
    (lab.root / "workspace.json").write_bytes(text)

    with pytest.raises(Damaged, match=r"workspace.json is damaged"):
        lab.open()


def test_a_workspace_of_a_later_format_is_refused_with_what_to_do(lab: Lab) -> None:
    (lab.root / "workspace.json").write_text('{"format": 2, "all": "new"}')

    with pytest.raises(WorkspaceTooNew, match="has format 2; this raykqi reads up to 1") as refused:
        lab.open()

    assert "Upgrade" in refused.value.hint


def test_the_nearest_workspace_above_is_meant_when_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / "lab" / "notebooks" / "2026"
    deep.mkdir(parents=True)
    raykqi.init(tmp_path / ".raykqi")
    raykqi.init(tmp_path / "lab" / ".raykqi")
    monkeypatch.chdir(deep)

    with raykqi.open() as ws:
        assert ws.url == str(tmp_path / "lab" / ".raykqi")
    monkeypatch.setenv("RAYKQI_WORKSPACE", str(tmp_path / ".raykqi"))
    with raykqi.open() as ws:
        assert ws.url == str(tmp_path / ".raykqi")


def test_without_any_workspace_the_ways_to_one_are_told(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceMissing, match="no workspace was named") as refused:
        find_workspace(Settings(), tmp_path)

    assert "raykqi init" in refused.value.hint
    assert "RAYKQI_WORKSPACE" in refused.value.hint


def test_a_workspace_in_memory_is_one_for_the_whole_process() -> None:
    raykqi.init("memory://opening")
    with raykqi.open("memory://opening") as one, raykqi.open("memory://opening") as other:
        pushed = one.push(Path(__file__), ["type:test"])

        assert [data.id for data in other.find("type:test")] == [pushed.id]
        assert one.id == other.id
