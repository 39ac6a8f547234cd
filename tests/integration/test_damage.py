"""P6: a byte that flipped anywhere is found, named and never passed on; what can be mended is mended."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from raykqi.domain.data import Data
from raykqi.domain.upkeep import Problem
from raykqi.errors import Damaged, RaykqiError
from raykqi.journal.segments import compact
from raykqi.storage.trees import tree_key
from tests.integration.lab import Lab, Opened, check

FILES = {"big.bin": b"\x5a" * (1 << 20), "a.txt": b"alpha", "b/写真.txt": b"beta" * 100}
SPOTS = [0.0, 0.3, 0.5, 0.9, 0.999]


def flip(file: Path, spot: float) -> None:
    data = bytearray(file.read_bytes())
    data[int(spot * len(data))] ^= 0x10
    file.write_bytes(data)


def cut_off(file: Path, spot: float) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: int(spot * len(data))])


def only(folder: Path, pattern: str = "*") -> Path:
    (found,) = (path for path in folder.rglob(pattern) if path.is_file())
    return found


def pushed(lab: Lab) -> tuple[Opened, Data]:
    opened = lab.open()
    return opened, opened.ws.push(lab.files("photos", FILES), ["type:dataset"])


def lose_index(lab: Lab) -> None:
    lab.close()
    shutil.rmtree(lab.root / "index")


def read(opened: Opened, data: Data) -> dict[str, bytes]:
    return {path: b"".join(opened.ws.cat(data.id, path)) for path in FILES}


@pytest.mark.parametrize("spot", SPOTS)
@pytest.mark.parametrize(("kind", "path"), [("blobs", "big.bin"), ("packs", "b/写真.txt"), ("packs", "a.txt")])
def test_p6_a_flipped_byte_is_named_by_whoever_reads_it_and_by_fsck(
    lab: Lab, tmp_path: Path, kind: str, path: str, spot: float
) -> None:
    opened, data = pushed(lab)
    file = only(lab.root / kind)
    flip(file, spot)
    key = str(file.relative_to(lab.root))

    (problem,) = opened.ws.fsck(deep=True).problems
    with pytest.raises(Damaged) as pulling:
        opened.ws.pull(data.id, tmp_path / "copy")

    assert (problem.object, problem.data) == (key, (data.id,))
    assert set(problem.paths) <= set(FILES)
    assert key in str(pulling.value)
    assert not (tmp_path / "copy").exists()
    if path in problem.paths:
        with pytest.raises(Damaged, match=key):
            b"".join(opened.ws.cat(data.id, path))
    else:
        assert b"".join(opened.ws.cat(data.id, path)) == FILES[path]


def test_p6_of_a_damaged_pack_only_the_files_that_are_hit_are_lost(lab: Lab, tmp_path: Path) -> None:
    opened, data = pushed(lab)
    flip(only(lab.root / "packs"), 0.0)

    (problem,) = opened.ws.fsck(deep=True).problems

    assert problem.paths == ("a.txt",)
    opened.ws.pull(data.id, tmp_path / "copy", patterns=["b/*"])
    assert (tmp_path / "copy" / "b" / "写真.txt").read_bytes() == FILES["b/写真.txt"]


@pytest.mark.parametrize("kind", ["blobs", "packs"])
@pytest.mark.parametrize("harm", ["cut off", "deleted"])
def test_p6_fsck_finds_objects_that_are_missing_or_too_short_without_reading_them(
    lab: Lab, kind: str, harm: str
) -> None:
    opened, data = pushed(lab)
    file = only(lab.root / kind)
    if harm == "deleted":
        file.unlink()
    else:
        cut_off(file, 0.5)

    (problem,) = opened.ws.fsck().problems

    assert (problem.object, problem.data) == (str(file.relative_to(lab.root)), (data.id,))


@pytest.mark.parametrize("spot", [0.01, *SPOTS[1:]])
def test_p6_a_flipped_byte_in_a_tree_is_named(lab: Lab, tmp_path: Path, spot: float) -> None:
    opened, data = pushed(lab)
    key = tree_key(data.tree.hash)
    flip(lab.root / key, spot)

    (problem,) = opened.ws.fsck().problems
    with pytest.raises(Damaged, match=key):
        opened.ws.pull(data.id, tmp_path / "copy")

    assert (problem.object, problem.data) == (key, (data.id,))
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("kind", ["blobs", "packs", "trees"])
def test_p6_pushing_the_same_files_again_after_a_repair_makes_damaged_data_whole(lab: Lab, kind: str) -> None:
    opened, data = pushed(lab)
    flip(only(lab.root / kind), 0.0)
    opened.ws.fsck(deep=True, repair=True)

    again = opened.ws.push(lab.files("photos", FILES))

    assert read(opened, data) == FILES
    assert read(opened, again) == FILES
    check(opened, deep=True)


def history(lab: Lab) -> tuple[Opened, Data]:
    """Five entries: a push and four tags."""
    opened, data = pushed(lab)
    for number in range(4):
        opened.ws.tag(data.id, add=[f"step:{number}"])
    return opened, data


def journal_entry(lab: Lab, seq: int) -> Path:
    return lab.root / "journal" / f"{seq:020d}.jsonl"


@pytest.mark.parametrize("spot", SPOTS)
@pytest.mark.parametrize("seq", [1, 3])
def test_p2_a_flipped_byte_in_a_journal_entry_is_named_when_it_is_read_and_by_fsck(
    lab: Lab, seq: int, spot: float
) -> None:
    opened, data = history(lab)
    flip(journal_entry(lab, seq), spot)

    (problem,) = opened.ws.fsck().problems

    assert journal_entry(lab, seq).name in problem.what
    assert read(opened, data) == FILES
    lose_index(lab)
    with pytest.raises(Damaged, match=journal_entry(lab, seq).name):
        lab.open()


def test_p2_a_journal_entry_that_is_gone_is_named(lab: Lab) -> None:
    opened, _ = history(lab)
    journal_entry(lab, 3).unlink()

    (problem,) = opened.ws.fsck().problems

    assert journal_entry(lab, 3).name in problem.what
    lose_index(lab)
    with pytest.raises(Damaged, match=journal_entry(lab, 3).name):
        lab.open()


def test_p2_fsck_saves_what_a_damaged_journal_entry_said_while_an_index_still_knows_it(lab: Lab) -> None:
    opened, data = history(lab)
    flip(journal_entry(lab, 3), 0.5)

    opened.ws.fsck(repair=True)
    lose_index(lab)
    opened = lab.open()

    assert {str(tag) for tag in opened.ws.show(data.id).tags} == {"type:dataset", *(f"step:{n}" for n in range(4))}
    opened.ws.tag(data.id, add=["step:4"])
    assert len(opened.ws.find("step:4")) == 1


@pytest.mark.parametrize("spot", SPOTS)
def test_p2_a_flipped_byte_in_a_journal_segment_is_named(lab: Lab, spot: float) -> None:
    opened, _ = history(lab)
    compact(opened.parts.store, 5, min_age=0)
    segment = only(lab.root / "journal" / "segments")
    flip(segment, spot)

    (problem,) = opened.ws.fsck().problems

    assert segment.name in problem.what
    lose_index(lab)
    with pytest.raises(Damaged, match=segment.name):
        lab.open()


@pytest.mark.parametrize("table", ["data.parquet", "meta.parquet", "tag.parquet", "manifest.json"])
@pytest.mark.parametrize("spot", [0.5, *(pytest.param(spot, marks=pytest.mark.soak) for spot in (0.1, 0.9))])
def test_p2_a_damaged_snapshot_is_named_and_does_without(lab: Lab, table: str, spot: float) -> None:
    opened, data = history(lab)
    opened.ws.snapshot()
    flip(only(lab.root / "snapshots", table), spot)

    (problem,) = opened.ws.fsck().problems
    lose_index(lab)
    opened = lab.open()

    assert problem.object.startswith("snapshots/")
    assert read(opened, data) == FILES
    opened.ws.fsck(repair=True)
    check(opened)


@pytest.mark.parametrize("seed", [*range(5), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(5, 12))])
def test_p1_a_damaged_index_is_made_anew_without_anyones_help(lab: Lab, seed: int) -> None:
    opened, data = history(lab)
    lab.close()
    chance = random.Random(seed)
    harm = chance.choice([flip, cut_off])
    harm(lab.index_file, chance.random())

    opened = lab.open()

    assert [found.id for found in opened.ws.find("type:dataset", "step:3")] == [data.id]
    assert read(opened, data) == FILES
    opened.ws.fsck(repair=True)
    check(opened)


@pytest.mark.parametrize("spot", [0.15, 0.4, 0.6, 0.8])
def test_p1_an_index_that_is_damaged_while_it_is_open_goes_on_or_is_made_anew(lab: Lab, spot: float) -> None:
    opened, data = history(lab)
    cut_off(lab.index_file, spot)

    opened.ws.tag(data.id, add=["step:4"])

    assert [found.id for found in opened.ws.find("step:4")] == [data.id]
    opened = lab.reopen()
    assert [found.id for found in opened.ws.find("step:4", "step:0")] == [data.id]
    opened.ws.fsck(repair=True)
    check(opened)


def test_fsck_tells_what_is_wrong_and_stays_silent_when_nothing_is(lab: Lab) -> None:
    opened, _ = history(lab)

    report = opened.ws.fsck(deep=True)

    assert (report.problems, report.entries, report.data) == ((), 5, 1)
    assert report.objects == 3


def test_fsck_names_every_data_that_a_lost_object_concerns(lab: Lab) -> None:
    opened, first = pushed(lab)
    second = opened.ws.push(lab.files("more", {**FILES, "c.txt": b"gamma"}))
    gone = opened.ws.push(lab.files("gone", {"big.bin": FILES["big.bin"]}))
    opened.ws.purge(gone.id, "not needed")
    only(lab.root / "blobs").unlink()

    problems: tuple[Problem, ...] = opened.ws.fsck().problems

    assert {id_ for problem in problems for id_ in problem.data} == {first.id, second.id}


def test_gc_deletes_nothing_while_a_tree_that_is_needed_cannot_be_read(lab: Lab) -> None:
    opened, data = pushed(lab)
    opened.ws.purge(opened.ws.push(lab.files("other", {"x.bin": b"\1" * (1 << 20)})).id, "not needed")
    before = sorted(lab.root.rglob("blobs/*/*"))
    flip(lab.root / tree_key(data.tree.hash), 0.5)

    with pytest.raises(RaykqiError, match=data.tree.hash):
        opened.ws.gc(grace_seconds=0)

    assert sorted(lab.root.rglob("blobs/*/*")) == before
