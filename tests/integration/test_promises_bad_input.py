"""Bad input gets a clear error, which names the value and what to do, and loses nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from raykqi.domain.data import Data
from raykqi.errors import (
    AmbiguousId,
    Damaged,
    DataGone,
    InUse,
    InvalidInput,
    InvalidTag,
    RaykqiError,
    SourceChanged,
    StorageDenied,
    TargetNotEmpty,
    UnknownId,
    WorkspaceExists,
    WorkspaceMissing,
    WorkspaceOwned,
    WorkspaceTooNew,
)
from raykqi.journal.owning import open_ownership
from raykqi.opening import create_workspace
from raykqi.storage.filesystem import open_store
from tests.integration.lab import Lab, Opened, check
from tests.integration.mounts import read_only

FILES = {"a.txt": b"alpha", "b/c.txt": b"gamma"}
NOBODY = "01939c1c-7d1e-7b0a-9f41-0d9a6c1e2f33"


def pushed(lab: Lab) -> tuple[Opened, Data]:
    opened = lab.open()
    return opened, opened.ws.push(lab.files("photos", FILES), ["type:dataset"])


def test_a_workspace_of_a_newer_format_is_refused_and_left_alone(lab: Lab) -> None:
    description = lab.root / "workspace.json"
    newer = json.dumps(json.loads(description.read_text()) | {"format": 2, "shape": "round"})
    description.write_text(newer)

    with pytest.raises(WorkspaceTooNew, match=r"format 2.*\n.*[Uu]pgrade"):
        lab.open()

    assert description.read_text() == newer


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b'{"format": 1}', b'{"format": "x"}', b"\xff\xfe\x00"])
def test_a_damaged_description_of_a_workspace_is_named(lab: Lab, text: bytes) -> None:
    (lab.root / "workspace.json").write_bytes(text)

    with pytest.raises(Damaged, match=r"workspace\.json"):
        lab.open()


def test_a_place_without_a_workspace_says_how_to_make_one(lab: Lab, tmp_path: Path) -> None:
    lab.url = str(tmp_path / "nowhere")

    with pytest.raises(WorkspaceMissing, match=r"nowhere.*\n.*init"):
        lab.open()

    assert not (tmp_path / "nowhere").exists()


def test_a_workspace_is_never_made_over_another(lab: Lab) -> None:
    before = (lab.root / "workspace.json").read_bytes()

    with pytest.raises(WorkspaceExists, match=lab.url):
        create_workspace(lab.url, lab.settings)

    assert (lab.root / "workspace.json").read_bytes() == before


def test_an_unknown_id_is_named(lab: Lab) -> None:
    opened, data = pushed(lab)

    for attempt in (
        lambda: opened.ws.show(NOBODY),
        lambda: opened.ws.tag(NOBODY, add=["a:b"]),
        lambda: opened.ws.tag([data.id, NOBODY], add=["a:b"]),
        lambda: opened.ws.purge(NOBODY, "not needed"),
        lambda: opened.ws.remove([data.id, NOBODY], "not needed"),
        lambda: opened.ws.lineage(NOBODY),
        lambda: opened.ws.push(lab.files("more", FILES), inputs={"in": NOBODY}),
    ):
        with pytest.raises(UnknownId, match=NOBODY):
            attempt()

    assert [(found.id, [str(tag) for tag in found.tags]) for found in opened.ws.find()] == [(data.id, ["type:dataset"])]
    check(opened)


def test_an_ambiguous_prefix_lists_the_candidates(lab: Lab) -> None:
    opened, first = pushed(lab)
    second = opened.ws.push(lab.files("more", {"a.txt": b"other"}))
    prefix = first.id[:4]

    with pytest.raises(AmbiguousId) as failure:
        opened.ws.tag(prefix, add=["a:b"])

    assert failure.value.candidates == (first.id, second.id)
    assert first.id in str(failure.value)


@pytest.mark.parametrize("prefix", ["", "xyz", "%", "01%", "'; DROP TABLE data; --", "0" * 37])
def test_what_cannot_be_an_id_is_refused(lab: Lab, prefix: str) -> None:
    opened, _ = pushed(lab)

    with pytest.raises(InvalidInput):
        opened.ws.show(prefix)

    check(opened)


@pytest.mark.parametrize(
    "tag",
    [
        "nocolon",
        ":value",
        "raykqi#id:1",
        "knit#id:1",
        "a\nb:c",
        "a\0:b",
        "a:b\0",
        "k" * 1025 + ":v",
        "k:" + "v" * (1 << 20) + "v",
    ],
)
def test_a_malformed_tag_is_refused_before_anything_is_stored(lab: Lab, tag: str) -> None:
    opened = lab.open()

    with pytest.raises(InvalidTag):
        opened.ws.push(lab.files("photos", FILES), ["type:dataset", tag])

    assert opened.ws.find() == []
    assert not (lab.root / "trees").exists()


def test_the_largest_tag_that_is_allowed_comes_back_whole(lab: Lab) -> None:
    tag = "k" * 1024 + ":" + "値" * 349_525
    opened = lab.open()
    data = opened.ws.push(lab.files("photos", FILES), [tag])

    assert [str(found) for found in lab.reopen().ws.find(tag)[0].tags] == [tag]
    assert data.tags[0].key == "k" * 1024


def test_a_pull_into_a_folder_that_holds_something_is_refused(lab: Lab, tmp_path: Path) -> None:
    opened, data = pushed(lab)
    target = tmp_path / "copy"
    target.mkdir()
    (target / "mine.txt").write_text("mine")

    with pytest.raises(TargetNotEmpty, match="copy"):
        opened.ws.pull(data.id, target)

    assert [path.name for path in target.iterdir()] == ["mine.txt"]
    opened.ws.pull(data.id, target, overwrite=True)
    assert sorted(path.name for path in target.iterdir()) == ["a.txt", "b", "mine.txt"]


def test_data_that_was_purged_says_where_its_story_is(lab: Lab, tmp_path: Path) -> None:
    opened, data = pushed(lab)
    opened.ws.purge(data.id, "not needed")

    with pytest.raises(DataGone, match=f"{data.id}.*\n.*lineage"):
        opened.ws.pull(data.id, tmp_path / "copy")

    assert not (tmp_path / "copy").exists()


def test_data_in_use_is_not_removed_and_the_user_of_it_is_named(lab: Lab) -> None:
    opened, data = pushed(lab)
    made = opened.ws.push(lab.files("model", {"m": b"model"}), inputs={"data": data.id})

    with pytest.raises(InUse, match=made.id):
        opened.ws.remove(data.id, "not needed")

    assert opened.ws.remove([data.id, made.id], "not needed") == [data.id, made.id]


@pytest.mark.parametrize("reason", ["", "  ", "\n"])
def test_a_purge_needs_a_reason(lab: Lab, reason: str) -> None:
    opened, data = pushed(lab)

    with pytest.raises(InvalidInput, match="reason"):
        opened.ws.purge(data.id, reason)

    assert opened.ws.show(data.id).status == "done"


def test_a_source_that_is_not_there_is_named(lab: Lab, tmp_path: Path) -> None:
    opened = lab.open()

    with pytest.raises(RaykqiError, match="nowhere") as failure:
        opened.ws.push(tmp_path / "nowhere")

    assert isinstance(failure.value, InvalidInput | SourceChanged)
    assert opened.ws.find() == []


def test_a_workspace_that_cannot_be_written_can_be_searched_and_read(lab: Lab, tmp_path: Path) -> None:
    _, data = pushed(lab)
    lab.close()
    with read_only(lab.root):
        opened = lab.open()
        assert [found.id for found in opened.ws.find("type:dataset")] == [data.id]
        opened.ws.pull(data.id, tmp_path / "copy")
        assert (tmp_path / "copy" / "a.txt").read_bytes() == b"alpha"
        assert opened.ws.fsck().problems == ()
        for attempt in (
            lambda: opened.ws.push(lab.files("more", {"x": b"x"})),
            lambda: opened.ws.tag(data.id, add=["a:b"]),
            lambda: opened.ws.purge(data.id, "not needed"),
            lambda: opened.ws.snapshot(),
        ):
            with pytest.raises(StorageDenied) as failure:
                attempt()
            assert failure.value.hint
        lab.close()
    opened = lab.open()
    opened.ws.tag(data.id, add=["a:b"])
    check(opened)


def test_a_server_that_owns_the_workspace_is_named_with_its_address(lab: Lab) -> None:
    opened, data = pushed(lab)
    store = open_store(lab.url, lab.settings)
    server = open_ownership(store, kind="server", url="http://gpu1:8000", user="ops")
    server.acquire(5.0)

    with pytest.raises(WorkspaceOwned, match="http://gpu1:8000"):
        opened.ws.tag(data.id, add=["a:b"])

    assert [found.id for found in opened.ws.find("type:dataset")] == [data.id]
    server.close()
    opened.ws.tag(data.id, add=["a:b"])
    assert len(opened.ws.find("a:b")) == 1


def test_one_refused_command_never_spoils_those_that_came_with_it(make_lab: Callable[..., Lab]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    lab = make_lab()
    opened, data = pushed(lab)

    def attempt(number: int) -> bool:
        try:
            opened.ws.tag(NOBODY if number % 3 == 0 else data.id, add=[f"step:{number}"])
        except UnknownId:
            return False
        return True

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(attempt, range(120)))

    assert answers == [number % 3 != 0 for number in range(120)]
    assert len(opened.ws.show(data.id).tags) == 1 + 80
    check(opened)
