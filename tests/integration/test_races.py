"""P3: several controllers on one workspace, some of them stopped and woken again: one winner for each entry.

What was acknowledged is there once, what was refused is not there at all, and whoever was refused is
told by whom, opens the workspace again and goes on.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import socket
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from raykqi.errors import Fenced, InUse, WorkspaceOwned
from raykqi.workspace import Workspace
from tests.faultproxy import FaultProxy, first
from tests.integration.crashing import CONTENTS, THREADS, content, work
from tests.integration.lab import Lab, Opened, check
from tests.integration.processes import Child
from tests.integration.racing import lease_parts, race, race_with_lease
from tests.servers import S3Server


class Tally:
    """What the racers said."""

    def __init__(self) -> None:
        self.done: set[str] = set()
        self.refused: dict[str, str] = {}
        self.open: set[str] = set()

    def add(self, said: list[Any]) -> None:
        for kind, *what in said:
            if kind == "intent":
                self.open.add(what[0])
            elif kind == "done":
                self.done.add(what[0])
                self.open.discard(what[0])
            elif kind == "refused":
                self.refused[what[0]] = what[2]
                self.open.discard(what[0])

    def compare(self, opened: Opened) -> None:
        """`open` may be there or not: nobody was told."""
        there = [str(tag) for data in opened.ws.find() for tag in data.tags if tag.key == "op"]
        assert len(there) == len(set(there))
        assert self.done <= set(there)
        assert set(there) - self.done <= self.open
        assert not set(self.refused) & set(there)


def epochs(opened: Opened) -> list[int]:
    return [entry.epoch for entry in opened.parts.keeper.journal.read()]


def writers(opened: Opened) -> list[str]:
    return [entry.writer for entry in opened.parts.keeper.journal.read()]


def test_p3_processes_that_write_to_one_folder_take_turns(lab: Lab) -> None:
    source = lab.files("photos", {"a.txt": b"alpha"})
    racers = [Child(race, lab.url, lab.settings, {}, f"racer{n}", 15, str(source)) for n in range(3)]
    tally = Tally()
    for racer in racers:
        tally.add(racer.wait())
        racer.close()

    opened = lab.open()

    assert len(tally.done) == 45
    assert tally.refused == {}
    tally.compare(opened)
    assert epochs(opened) == sorted(epochs(opened))
    by = writers(opened)
    handovers = sum(one != other for one, other in itertools.pairwise(by))
    assert len(set(epochs(opened))) == handovers + 1
    check(opened)


@pytest.fixture
def s3_lab(s3: S3Server, make_lab: Callable[..., Lab]) -> Lab:
    return make_lab(url=s3.url(uuid.uuid4().hex), s3_endpoint=s3.endpoint, lock_timeout=1.0)


def test_p3_of_two_controllers_on_object_storage_one_wins_each_entry(s3: S3Server, s3_lab: Lab) -> None:
    source = s3_lab.files("photos", {"a.txt": b"alpha"})
    racers = [Child(race, s3_lab.url, s3_lab.settings, s3.env(), f"racer{n}", 6, str(source)) for n in range(2)]
    tally = Tally()
    for racer in racers:
        tally.add(racer.wait())
        racer.close()

    opened = s3_lab.open()

    assert len(tally.done) == 12
    tally.compare(opened)
    check(opened)


def behind(proxy: FaultProxy, lab: Lab) -> Lab:
    """The same workspace, reached through the proxy."""
    settings = replace(lab.settings, s3_endpoint=proxy.front.endpoint, cache_dir=lab.folder / "other-cache")
    return Lab(lab.url, settings, lab.folder)


def ops(opened: Opened) -> list[str]:
    return [str(tag) for data in opened.ws.find(oldest_first=True) for tag in data.tags]


def test_p3_whoever_is_overtaken_between_looking_and_writing_is_told_by_whom_and_stores_nothing(
    moto: S3Server, make_lab: Callable[..., Lab]
) -> None:
    lab = make_lab(url=moto.url(uuid.uuid4().hex), s3_endpoint=moto.endpoint)
    source = lab.files("photos", {"a.txt": b"alpha"})
    rival = lab.open(user="bob")
    rival.ws.push(source, ["op:first"])
    with FaultProxy(moto) as proxy:
        slower = behind(proxy, lab)
        late = slower.open(user="alice")
        overtaking = proxy.order(
            first(lambda: rival.ws.push(source, ["op:rival"])), method="PUT", key="/journal/00000000000000000002"
        )

        with pytest.raises(Fenced) as refused:
            late.ws.push(source, ["op:late"])

        winner = list(rival.parts.keeper.journal.read())[-1]
        assert overtaking.hits == 1
        assert f"{winner.writer} wrote it (epoch 1, {winner.time.isoformat()})" in refused.value.message
        assert "nothing of this batch was stored" in refused.value.message
        assert "Open the workspace again and repeat the command" in refused.value.hint
        assert ops(rival) == ["op:first", "op:rival"]
        assert set(writers(rival)) == {rival.parts.keeper.journal.writer}
        again = slower.reopen()
        again.ws.push(source, ["op:again"])
        assert ops(again) == ["op:first", "op:rival", "op:again"]
        assert epochs(again) == [1, 1, 2]
        check(again)
        slower.close()


def test_p3_where_storage_overwrites_whoever_comes_during_a_commit_is_told_who_has_the_workspace_and_since_when(
    rclone: S3Server, make_lab: Callable[..., Lab]
) -> None:
    lab = make_lab(url=rclone.url(uuid.uuid4().hex), s3_endpoint=rclone.endpoint, lock_timeout=0.5)
    source = lab.files("photos", {"a.txt": b"alpha"})
    rival = lab.open(user="bob")
    refused: list[WorkspaceOwned] = []

    def try_meanwhile() -> None:
        with pytest.raises(WorkspaceOwned) as failure:
            rival.ws.push(source, ["op:rival"])
        refused.append(failure.value)

    with FaultProxy(rclone) as proxy:
        slower = behind(proxy, lab)
        owner = slower.open(user="alice")
        proxy.order(first(try_meanwhile), method="PUT", key="/journal/00000000000000000001")

        owner.ws.push(source, ["op:owner"])

        told = rf"in use by another program of alice \(process {os.getpid()} on {socket.gethostname()}, since 20..-"
        assert re.search(told, refused[0].message)
        assert "Try again when it has ended; RAYKQI_LOCK_TIMEOUT says how many seconds" in refused[0].hint
        assert set(writers(owner)) == {owner.parts.keeper.journal.writer}
        slower.close()
    rival.ws.push(source, ["op:rival-again"])
    again = lab.reopen()
    assert ops(again) == ["op:owner", "op:rival-again"]
    assert epochs(again) == [1, 2]
    check(again)


def test_where_storage_overwrites_a_program_that_stays_open_and_idle_shuts_nobody_out(
    rclone: S3Server, make_lab: Callable[..., Lab]
) -> None:
    lab = make_lab(url=rclone.url(uuid.uuid4().hex), s3_endpoint=rclone.endpoint, lock_timeout=30.0)
    source = lab.files("photos", {"a.txt": b"alpha"})
    notebook, script = lab.open(user="alice"), lab.open(user="bob")

    for one in (notebook, script, notebook):
        one.ws.push(source, [f"op:{len(ops(one))}"])

    assert ops(script) == ["op:0", "op:1", "op:2"]
    assert epochs(script) == [1, 2, 3]
    check(script)


def stop_and_wake(lab: Lab, zombie: Child, tally: Tally, rounds: int) -> None:
    """Each time the zombie has done a little it is stopped, another one writes, and it is woken."""
    source = lab.files("photos", {"a.txt": b"alpha"})
    for number in range(rounds):
        for message in zombie.messages():
            tally.add([message])
            if message[0] == "done":
                break
        zombie.signal(signal.SIGSTOP)
        with contextlib.suppress(WorkspaceOwned):  # when it was stopped in the middle of a commit
            lab.reopen().ws.push(source, [f"op:takeover-{number}"])
            tally.done.add(f"op:takeover-{number}")
        zombie.signal(signal.SIGCONT)


def test_p3_a_stopped_process_that_wakes_up_follows_what_others_wrote(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(lock_timeout=0.3)
    source = lab.files("photos", {"a.txt": b"alpha"})
    tally = Tally()
    zombie = Child(race, lab.url, lab.settings, {}, "zombie", 30, str(source))

    stop_and_wake(lab, zombie, tally, 10)
    tally.add(zombie.wait())
    zombie.close()

    opened = lab.reopen()
    assert any(tag.startswith("op:takeover") for tag in tally.done)
    tally.compare(opened)
    check(opened)


def test_p3_a_stopped_controller_of_object_storage_is_refused_or_follows_when_it_wakes(
    moto: S3Server, make_lab: Callable[..., Lab]
) -> None:
    lab = make_lab(url=moto.url(uuid.uuid4().hex), s3_endpoint=moto.endpoint)
    source = lab.files("photos", {"a.txt": b"alpha"})
    tally = Tally()
    zombie = Child(race, lab.url, lab.settings, moto.env(), "zombie", 16, str(source))

    stop_and_wake(lab, zombie, tally, 5)
    tally.add(zombie.wait())
    zombie.close()

    opened = lab.reopen()
    tally.compare(opened)
    check(opened)


def test_p3_a_controller_that_slept_through_its_lease_is_refused_or_follows_when_it_wakes(
    rclone: S3Server, make_lab: Callable[..., Lab]
) -> None:
    lab = make_lab(url=rclone.url(uuid.uuid4().hex), s3_endpoint=rclone.endpoint, lock_timeout=40.0)
    source = lab.files("photos", {"a.txt": b"alpha"})
    tally = Tally()
    zombie = Child(race_with_lease, lab.url, lab.settings, rclone.env(), "zombie", 1_000, str(source))
    for message in zombie.messages():
        tally.add([message])
        if len(tally.done) == 3:
            break
    zombie.signal(signal.SIGSTOP)
    parts = lease_parts(lab.url, lab.settings, workspace="leased")
    with Workspace(parts, lab.settings) as ws:
        for number in range(3):
            ws.push(source, [f"op:takeover-{number}"])
            tally.done.add(f"op:takeover-{number}")
        zombie.signal(signal.SIGCONT)
        since = len(tally.done)
        for message in zombie.messages():
            tally.add([message])
            if message[0] in ("refused", "unknown") or len(tally.done) > since + 1:  # it slept between two commits
                break
        tally.add(zombie.kill())
        ws.push(source, ["op:takeover-last"])
        tally.done.add("op:takeover-last")
        zombie.close()
        tally.compare(Opened(ws, parts))
        check(Opened(ws, parts))


def test_p1_pushes_of_the_same_content_and_collections_at_once_lose_nothing(lab: Lab) -> None:
    opened, other = lab.open(), lab.open()
    sources = [
        lab.files(f"s{n}", {"a.txt": f"alpha {n}".encode(), "big.bin": bytes([n]) * (1 << 20)}) for n in range(3)
    ]
    stop = threading.Event()
    kept: list[str] = []

    def push(number: int) -> None:
        ws = (opened, other)[number % 2].ws
        for step in range(8):
            data = ws.push(sources[(number + step) % 3], [f"op:{number}-{step}"])
            if step % 3:
                ws.remove(data.id, "not needed")
            else:
                kept.append(data.id)

    def collect() -> None:
        while not stop.is_set():
            opened.ws.gc(grace_seconds=0)

    with ThreadPoolExecutor(5) as threads:
        collecting = threads.submit(collect)
        pushing = [threads.submit(push, number) for number in range(4)]
        try:
            for future in pushing:
                future.result()
        finally:
            stop.set()
        collecting.result()

    assert sorted(data.id for data in opened.ws.find()) == sorted(kept)
    for id_ in kept:
        assert len(b"".join(opened.ws.cat(id_, "big.bin"))) == 1 << 20
    check(opened, deep=True)


def test_a_dry_run_of_gc_says_what_it_would_delete_and_deletes_nothing(lab: Lab) -> None:
    opened = lab.open()
    data = opened.ws.push(lab.files("photos", {"big.bin": b"\1" * (1 << 20), "a.txt": b"alpha"}))
    opened.ws.remove(data.id, "not needed")
    before = sorted(path for path in lab.root.rglob("*/??/*") if path.is_file())

    would = opened.ws.gc(dry_run=True, grace_seconds=0)

    assert sorted(path for path in lab.root.rglob("*/??/*") if path.is_file()) == before
    assert (len(would.objects), would.dry_run) == (3, True)
    did = opened.ws.gc(grace_seconds=0)
    assert (sorted(did.objects), did.bytes) == (sorted(would.objects), would.bytes)
    assert not any(path.is_file() for path in lab.root.rglob("*/??/*"))


def test_young_objects_survive_a_collection(lab: Lab) -> None:
    opened = lab.open()
    data = opened.ws.push(lab.files("photos", {"a.txt": b"alpha"}))
    opened.ws.remove(data.id, "not needed")

    assert opened.ws.gc().objects == ()
    assert opened.ws.gc(grace_seconds=3600).objects == ()
    assert len(opened.ws.gc(grace_seconds=0).objects) == 2


def test_p7_data_is_never_removed_under_a_push_that_names_it_as_input(lab: Lab) -> None:
    opened = lab.open()
    source = lab.files("photos", {"a.txt": b"alpha"})
    inputs = [opened.ws.push(source).id for _ in range(12)]

    def use(id_: str) -> str:
        try:
            return opened.ws.push(source, inputs={"photos": id_}).id
        except InUse:
            return ""
        except Exception as error:  # the input was removed first
            return "" if id_ in str(error) else pytest.fail(str(error))

    def remove(id_: str) -> bool:
        try:
            return bool(opened.ws.remove(id_, "not needed"))
        except InUse:
            return False

    with ThreadPoolExecutor(8) as threads:
        uses = [threads.submit(use, id_) for id_ in inputs]
        removals = [threads.submit(remove, id_) for id_ in inputs]
        outcome = [(bool(used.result()), removed.result()) for used, removed in zip(uses, removals, strict=True)]

    assert all(used != removed for used, removed in outcome)
    check(opened)


def test_fsck_raises_no_false_alarm_while_others_push_remove_collect_and_compact(lab: Lab) -> None:
    for number in range(CONTENTS):
        lab.files(str(number), content(number))
    opened = lab.open()
    busy = Child(work, lab.url, lab.settings, str(lab.folder / "sources"), 7, [[]] * THREADS)
    assert busy.next() == ["open"]

    reports = [opened.ws.fsck() for _ in range(12)]

    busy.kill()
    busy.close()
    assert [report.problems for report in reports] == [()] * 12
    assert reports[-1].entries > reports[0].entries


def test_p3_a_rebuild_between_two_writers_leaves_epochs_ascending(lab: Lab) -> None:
    source = lab.files("photos", {"a.txt": b"alpha"})
    one, other = lab.open(), lab.open()
    one.ws.push(source)
    other.ws.push(source)
    one.ws.rebuild()

    one.ws.push(source)

    assert epochs(other) == [1, 2, 3]
    check(other)
