"""Upkeep on a workspace that is well, and on one whose index or journal is not: gc, fsck, doctor, snapshot, rebuild."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from raykqi.domain.events import ObjectsCondemned
from raykqi.domain.upkeep import Collection, Report
from raykqi.engine.commands import Condemn
from raykqi.errors import UnknownId
from raykqi.journal.segments import compact
from tests.comparison import assert_equals_journal
from tests.integration.lab import Lab, Opened, SteppedClock

BIG = b"\x5a" * (1 << 20)
OTHER = b"\xa5" * (1 << 20)


@pytest.fixture
def opened(lab: Lab) -> Opened:
    return lab.open(clock=SteppedClock())


def objects(opened: Opened) -> set[str]:
    return {item.key for folder in ("blobs", "packs", "trees") for item in opened.parts.store.list(folder)}


def findings(opened: Opened) -> dict[str, str]:
    return {finding.subject: finding.state for finding in opened.ws.doctor()}


def test_gc_frees_what_nothing_needs_and_keeps_what_is_shared(lab: Lab, opened: Opened, tmp_path: Path) -> None:
    ws = opened.ws
    kept = ws.push(lab.files("kept", {"shared": BIG, "a": b"1"}))
    gone = ws.push(lab.files("gone", {"shared": BIG, "own": OTHER, "b": b"2"}))
    before = objects(opened)
    ws.purge(gone.id, "too big")

    preview = ws.gc(dry_run=True, grace_seconds=0)
    assert objects(opened) == before
    done = ws.gc(grace_seconds=0)

    assert preview == Collection(done.objects, done.bytes, dry_run=True)
    assert not done.dry_run
    assert objects(opened) == before - set(done.objects)
    assert sorted({key.split("/")[0] for key in done.objects}) == ["blobs", "packs", "trees"]
    assert len(done.objects) == 3
    assert done.bytes > len(OTHER)
    assert ws.gc(grace_seconds=0) == Collection((), 0, dry_run=False)
    ws.pull(kept.id, tmp_path / "pulled")
    assert (tmp_path / "pulled" / "shared").read_bytes() == BIG
    assert ws.fsck(deep=True).clean


def test_gc_leaves_what_is_young(lab: Lab, opened: Opened) -> None:
    ws = opened.ws
    ws.remove(ws.push(lab.files("source", {"a": BIG})).id, "a mistake")

    assert ws.gc() == Collection((), 0, dry_run=False, young=2, young_bytes=1049508)
    assert len(ws.gc(grace_seconds=0).objects) == 2


def test_what_was_collected_can_be_pushed_again(lab: Lab, opened: Opened) -> None:
    ws, source = opened.ws, lab.files("source", {"a": BIG, "b": b"2"})
    first = ws.push(source)
    ws.purge(first.id, "too big")
    ws.gc(grace_seconds=0)

    again = ws.push(source)

    assert again.tree == first.tree
    assert b"".join(ws.cat(again.id, "a")) == BIG
    assert ws.fsck(deep=True).clean


def test_gc_ends_a_collection_that_was_interrupted(lab: Lab, opened: Opened) -> None:
    ws, source = opened.ws, lab.files("source", {"a": BIG})
    kept = ws.push(lab.files("kept", {"b": b"2"}))
    ws.remove(ws.push(source).id, "a mistake")
    doomed = ws.gc(dry_run=True, grace_seconds=0)
    (event,) = opened.parts.controller.submit(Condemn("tester", doomed.objects))
    assert isinstance(event, ObjectsCondemned)
    assert findings(opened)["gc"] == "warning"

    ws.gc(grace_seconds=0)

    assert "gc" not in findings(opened)
    assert not objects(opened) & set(doomed.objects)
    assert b"".join(ws.cat(kept.id, "b")) == b"2"
    assert ws.push(source).tree.files == 1
    assert ws.fsck(deep=True).clean


def test_fsck_counts_what_it_looked_at(lab: Lab, opened: Opened) -> None:
    ws = opened.ws
    assert ws.fsck() == Report((), entries=0, data=0, objects=0)
    data = ws.push(lab.files("source", {"a": BIG, "b": b"2"}))
    ws.tag(data.id, add=["a:1"])

    assert ws.fsck(deep=True) == Report((), entries=2, data=1, objects=3)


@pytest.mark.parametrize(
    ("damage", "tables"),
    [
        ("DELETE FROM tag WHERE key = 'a'", "tag"),
        ("UPDATE data SET size = 0", "data"),
        ("INSERT INTO posting VALUES (1, 1)", "posting"),
    ],
)
def test_fsck_makes_an_index_anew_that_differs_from_the_journal(
    lab: Lab, opened: Opened, damage: str, tables: str
) -> None:
    ws, keeper = opened.ws, opened.parts.keeper
    data = ws.push(lab.files("source", {"a": b"1"}), ["a:1"])
    with keeper.index.transaction() as connection:
        connection.execute(damage)

    found, mended, after = ws.fsck(), ws.fsck(repair=True), ws.fsck()

    assert [(p.object, p.what, p.repaired) for p in found.problems] == [
        (str(lab.index_file), f"the index differs from the journal in {tables}", "")
    ]
    assert (found.clean, found.sound) == (False, False)
    assert (mended.clean, mended.sound) == (False, True)
    assert after.clean
    assert ws.find("a:1") == [data]
    assert_equals_journal(keeper.index, opened.parts.store)


def test_fsck_ends_though_the_journal_lost_its_last_entry(lab: Lab, opened: Opened) -> None:
    ws = opened.ws
    for number in range(3):
        ws.push(lab.files("source", {"a": b"1"}), [f"number:{number}"])
    (lab.root / "journal" / f"{3:020d}.jsonl").unlink()

    report = ws.fsck()

    assert [problem.object for problem in report.problems] == ["journal"]
    assert "ends at entry 2, but entry 3 was seen in it" in report.problems[0].what


def test_fsck_repair_deletes_a_damaged_snapshot(lab: Lab, opened: Opened) -> None:
    ws = opened.ws
    ws.push(lab.files("source", {"a": b"1"}))
    folder = ws.snapshot()
    file = lab.root / folder / "tag.parquet"
    file.write_bytes(file.read_bytes()[:-1])

    found, mended = ws.fsck(), ws.fsck(repair=True)

    assert [problem.object for problem in found.problems] == [folder]
    assert mended.sound
    assert not any((lab.root / folder).glob("*"))
    assert ws.fsck().clean


def test_doctor_finds_a_new_workspace_well(opened: Opened) -> None:
    found = {finding.subject: finding for finding in opened.ws.doctor()}

    assert {subject: finding.state for subject, finding in found.items() if subject != "disk"} == {
        "workspace": "good",
        "storage": "good",
        "fence": "good",
        "index": "good",
        "journal": "good",
    }
    assert opened.ws.id in found["workspace"].what
    assert "at entry 0 with 0 data and 0 runs" in found["index"].what


def test_doctor_warns_of_a_clock_that_was_set_back(lab: Lab) -> None:
    ahead = SteppedClock()
    ahead.jump(100 * 365 * 86_400)
    opened = lab.open(clock=ahead)
    opened.ws.push(lab.files("source", {"a": b"1"}))

    (clock,) = (finding for finding in opened.ws.doctor() if finding.subject == "clock")

    assert clock.state == "warning"
    assert "in the future of this machine's clock" in clock.what


def test_doctor_says_when_storage_cannot_be_written(lab: Lab, opened: Opened) -> None:
    (lab.root / "tmp" / "doctor-probe" / "in-the-way").mkdir(parents=True)

    (storage,) = (finding for finding in opened.ws.doctor() if finding.state == "bad")

    assert storage.subject == "storage"
    assert "doctor-probe" in storage.what


def test_snapshots_are_kept_two_deep_and_open_a_workspace(lab: Lab, opened: Opened) -> None:
    ws = opened.ws
    for number in range(4):
        ws.push(lab.files("source", {"a": b"1"}), [f"number:{number}"])
        key = ws.snapshot()
        assert key == f"snapshots/{number + 1:020d}"
        assert ws.snapshot() == key

    assert sorted(path.name for path in (lab.root / "snapshots").iterdir() if any(path.iterdir())) == [
        f"{3:020d}",
        f"{4:020d}",
    ]
    assert (lab.root / key / "views.sql").is_file()
    ws.tag(ws.find()[0].id, add=["late:yes"])
    for from_snapshot in (True, False):
        ws.rebuild(from_snapshot=from_snapshot)
        assert_equals_journal(opened.parts.keeper.index, opened.parts.store)
    assert len(ws.find("late:yes")) == 1


def test_a_compacted_journal_tells_the_same(lab: Lab, make_lab: Callable[..., Lab], opened: Opened) -> None:
    ws, parts = opened.ws, opened.parts
    for number in range(6):
        ws.push(lab.files("source", {"a": b"1"}), [f"number:{number}"])
    found = ws.find()

    assert ws.compact() == 0
    assert compact(parts.store, parts.keeper.position.seq, min_age=0) is not None

    assert ws.find() == found
    ws.push(lab.files("source", {"a": b"1"}))
    ws.rebuild(from_snapshot=False)
    assert ws.find()[1:] == found
    assert lab.open().ws.find()[1:] == found
    assert ws.fsck().clean
    with pytest.raises(UnknownId):
        ws.show("ffff")
