"""P1: nothing is acknowledged into a history that is not one's own, nothing is dropped that an index still knows."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

import raykqi
from raykqi.errors import Conflict, Damaged, JournalBehind
from tests.integration.lab import Lab, Opened
from tests.servers import S3Server


def entry(lab: Lab, seq: int) -> Path:
    return lab.root / "journal" / f"{seq:020d}.jsonl"


def push(lab: Lab, opened: Opened, *tags: str) -> str:
    return opened.ws.push(lab.files("source", {"a": b"1"}), tags).id


def names(opened: Opened) -> set[str]:
    return {data.id for data in opened.ws.find()}


def test_p1_a_workspace_that_was_replaced_is_not_written_by_those_who_knew_the_old_one(lab: Lab) -> None:
    old = lab.open()
    push(lab, old, "in:old")
    push(lab, old, "in:old")
    shutil.rmtree(lab.root)
    raykqi.init(lab.url)

    with pytest.raises(JournalBehind, match="ends at entry 0, but entry 2 was seen in it") as refused:
        push(lab, old, "in:new")

    assert "rebuild --from-journal" in refused.value.hint
    new = lab.open()
    data = push(lab, new, "in:new")
    assert names(new) == {data}
    assert new.ws.fsck().clean


def test_p1_an_older_copy_put_back_under_an_open_workspace_gets_no_hole(lab: Lab, tmp_path: Path) -> None:
    opened = lab.open()
    first = push(lab, opened, "n:1")
    shutil.copytree(lab.root / "journal", tmp_path / "backup")
    push(lab, opened, "n:2")
    shutil.rmtree(lab.root / "journal")
    shutil.copytree(tmp_path / "backup", lab.root / "journal")

    with pytest.raises(JournalBehind, match="ends at entry 1, but entry 2 was seen in it"):
        push(lab, opened, "n:3")
    opened.ws.rebuild(from_snapshot=False)

    third = push(lab, opened, "n:3")
    assert names(opened) == {first, third}
    assert opened.ws.fsck().clean


def test_p1_what_only_the_index_knows_is_kept_and_the_journal_goes_on_behind_it(lab: Lab) -> None:
    opened = lab.open()
    acknowledged = {push(lab, opened, f"n:{number}") for number in range(3)}
    lab.close()
    entry(lab, 3).unlink()

    with pytest.raises(JournalBehind, match="ends at entry 2, but entry 3 was seen"):
        lab.open()
    with raykqi.open(lab.url, for_repair=True) as ws:
        report = ws.fsck(repair=True)

    assert [problem.object for problem in report.problems] == ["journal"]
    assert report.sound
    assert "entry 3 is kept in snapshots/00000000000000000003" in report.problems[0].repaired
    again = lab.open()
    assert names(again) == acknowledged
    later = push(lab, again, "n:4")
    lab.close()
    lab.index_file.unlink()
    assert names(lab.open()) == acknowledged | {later}


def test_a_damaged_entry_leaves_a_whole_index_as_it_is(lab: Lab) -> None:
    opened = lab.open()
    data = {push(lab, opened, f"n:{number}") for number in range(2)}
    other = lab.open(user="other")
    push(lab, other, "n:2")
    damaged = bytearray(entry(lab, 3).read_bytes())
    damaged[-20] ^= 1
    entry(lab, 3).write_bytes(damaged)

    with pytest.raises(Damaged, match=r"00003\.jsonl is damaged"):
        opened.ws.find()

    assert opened.parts.keeper.position.seq == 2
    entry(lab, 3).unlink()
    assert names(opened) == data


def test_fsck_opens_what_nothing_else_can_and_checks_what_can_be_read(lab: Lab) -> None:
    opened = lab.open()
    first = push(lab, opened, "n:1")
    for number in range(2, 4):
        push(lab, opened, f"n:{number}")
    lab.close()
    shutil.rmtree(lab.root / "index")
    entry(lab, 2).write_bytes(b"{")
    (pack,) = (path for path in (lab.root / "packs").rglob("*") if path.is_file())
    pack.unlink()

    with pytest.raises(Damaged):
        lab.open()
    with raykqi.open(lab.url, for_repair=True) as ws:
        findings = {finding.subject: finding.state for finding in ws.doctor()}
        with pytest.raises(Damaged):
            ws.snapshot()
        problems = ws.fsck().problems

    assert findings["journal"] == "bad"
    assert "00002.jsonl" in problems[0].what
    assert problems[1].object == f"packs/{pack.parent.name}/{pack.name}"
    assert problems[1].data == (first,)


def test_a_workspace_opened_before_a_fork_says_so_in_the_child(lab: Lab) -> None:
    opened = lab.open()
    push(lab, opened, "n:1")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        said = []
        for attempt in (opened.ws.find, lambda: push(lab, opened, "n:2")):
            try:
                attempt()
                said.append("nothing")
            except Conflict as refused:
                said.append(refused.message)
        os.write(writer, "\n".join(said).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answers:
        assert answers.read().splitlines() == ["this workspace was opened in another process"] * 2
    os.waitpid(child, 0)
    assert len(names(opened)) == 1


def test_two_that_take_turns_in_object_storage_are_not_fenced(moto: S3Server, make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(url=moto.url(uuid.uuid4().hex), s3_endpoint=moto.endpoint)
    alice, bob = lab.open(user="alice"), lab.open(user="bob")
    data = push(lab, alice, "n:1")

    for turn in range(3):
        alice.ws.find()
        bob.ws.tag(data, add=[f"bob:{turn}"])
        alice.ws.tag(data, add=[f"alice:{turn}"])

    wanted = {"n:1"} | {f"{who}:{turn}" for who in ("alice", "bob") for turn in range(3)}
    assert {str(tag) for tag in bob.ws.show(data).tags} <= wanted
    assert {str(tag) for tag in lab.reopen().ws.show(data).tags} == wanted
