"""What Python callers give by mistake, and what they may give for convenience."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import raykqi
from raykqi.errors import InvalidInput, InvalidTag, TargetNotEmpty
from tests.integration.lab import Anywhere, Lab, Opened


@pytest.fixture
def opened(lab: Lab, anywhere: Anywhere) -> Opened:
    return anywhere(lab.open())


def test_data_may_be_given_as_a_call_answered_it(lab: Lab, opened: Opened, tmp_path: Path) -> None:
    ws = opened.ws
    data = ws.push(lab.files("source", {"a": b"1"}), ["type:x"])
    made = ws.push(lab.files("source", {"a": b"1"}), inputs={"from": data})

    ws.pull(data, tmp_path / "out")
    ws.tag([data, made], add=["stage:prod"])

    assert (tmp_path / "out" / "a").read_bytes() == b"1"
    assert b"".join(ws.cat(data, "a")) == b"1"
    assert {node.id for node in ws.lineage(data).data} == {data.id, made.id}
    assert len(ws.find("stage:prod", since="2026-01-01")) == 2
    assert ws.purge(data, "done") == [data.id]
    assert [(t.kind, t.reason) for t in ws.show(data).tombstones] == [("purged", "done")]


def test_one_text_is_no_list_of_tags(lab: Lab, opened: Opened) -> None:
    source = lab.files("source", {"a": b"1"})

    with pytest.raises(InvalidTag, match=r"'type:x' is no list of tags"):
        opened.ws.push(source, "type:x", name=True)
    with pytest.raises(InvalidTag, match=r"\['type:x'\] is no list of tags"):
        opened.ws.find(["type:x"])  # type: ignore[arg-type]
    with pytest.raises(InvalidTag, match=r"'key' is no list of tags"):
        opened.ws.tag(opened.ws.push(source), remove_keys="key")


def test_what_names_no_data_is_quoted(opened: Opened) -> None:
    with pytest.raises(InvalidInput, match="17 names no data"):
        opened.ws.show(17)  # type: ignore[arg-type]


def test_a_folder_with_other_files_does_not_become_a_workspace(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(b"png")

    with pytest.raises(TargetNotEmpty, match=r"is not empty: it holds photo\.png"):
        raykqi.init(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]


def test_a_script_that_does_not_close_ends_quietly(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    script = "import raykqi, sys; raykqi.init('w'); ws = raykqi.open('w'); print(ws.push('a', ['t:x']).id, ws)"

    ended = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert ended.stderr == ""
    assert f"<raykqi.Workspace {tmp_path / 'w'}>" in ended.stdout
    with raykqi.open(tmp_path / "w") as ws:
        assert len(ws.find("t:x")) == 1


def test_the_index_may_be_deleted_under_an_open_workspace(lab: Lab, opened: Opened) -> None:
    data = opened.ws.push(lab.files("source", {"a": b"1"}), ["type:x"]).id
    for path in (lab.root / "index").iterdir():
        path.unlink()
    (lab.root / "index").rmdir()

    later = opened.ws.push(lab.files("source", {"a": b"1"}), ["type:x"]).id

    assert {found.id for found in opened.ws.find("type:x")} == {data, later}
    assert {found.id for found in lab.reopen().ws.find("type:x")} == {data, later}


def test_objects_that_lie_elsewhere_are_taken_in_by_reference(lab: Lab, opened: Opened, tmp_path: Path) -> None:
    source = lab.files("elsewhere", {"a": b"1", "b/写真": b"22"})

    data = opened.ws.import_(source.as_uri(), ["type:scan"])

    assert (data.upstream.plan, data.tree.files, data.tree.size) == ("raykqi#imported", 2, 3)
    assert [str(tag) for tag in data.tags] == ["type:scan"]
    opened.ws.pull(data, tmp_path / "out")
    assert (tmp_path / "out" / "b" / "写真").read_bytes() == b"22"
