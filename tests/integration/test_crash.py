"""P1, P2, P5: a process is killed with SIGKILL at random moments, again and again, on one growing workspace.

After each kill every acknowledged change is there, an unacknowledged one is there whole or not at
all, fsck has nothing to say and the journal makes the same index; also when the index file was
deleted, cut off or damaged by a flipped bit meanwhile.
"""

from __future__ import annotations

import random
import time
from copy import deepcopy
from itertools import cycle
from typing import Any

import pytest

from raykqi.errors import DataGone
from tests.integration.crashing import CONTENTS, THREADS, content, work
from tests.integration.lab import Lab, Opened, check
from tests.integration.processes import Child
from tests.model import Model, Refused

ROUND_SECONDS = 1.0


class Crashes:
    """One workspace, what was acknowledged on it, and the processes that are killed on it."""

    def __init__(self, lab: Lab, seed: int) -> None:
        self.lab = lab
        self.chance = random.Random(seed)
        self.model = Model()
        self.owners: dict[str, int] = {}
        self.acknowledged = 0
        for number in range(CONTENTS):
            lab.files(str(number), content(number))

    def round(self) -> None:
        seed = self.chance.randrange(1 << 30)
        own = [[id_ for id_ in self.model.listed() if self.owners[id_] == n][:20] for n in range(THREADS)]
        child = Child(work, self.lab.url, self.lab.settings, str(self.lab.folder / "sources"), seed, own)
        try:
            assert child.next() == ["open"]
            said, wanted = [], self.chance.randint(1, 80)
            deadline = time.monotonic() + ROUND_SECONDS
            for message in child.messages(ROUND_SECONDS):
                said.append(message)
                if len(said) >= wanted or time.monotonic() > deadline:
                    break
            said += child.kill()
        finally:
            child.close()
        self.pending = self.follow(said)

    def follow(self, said: list[Any]) -> list[list[Any]]:
        """Bring the model up to what was acknowledged; the changes that were not."""
        intents: dict[int, list[Any]] = {}
        for kind, thread, *what in said:
            if kind == "intent":
                intents[thread] = what
            elif kind == "refused":
                del intents[thread]
            else:
                self.acknowledged += 1
                self.apply(self.model, intents.pop(thread), what[0] if what else "", thread)
        return [[thread, *what] for thread, what in intents.items()]

    def apply(self, model: Model, intent: list[Any], id_: str, thread: int) -> None:
        verb, *args = intent
        if verb == "push":
            number, tags, inputs = args
            model.push(id_, content(number), tags, inputs)
            self.owners[id_] = thread
        elif verb == "tag":
            ids, add, remove, keys = args
            model.tag(ids, add, remove, keys)
        elif verb == "purge":
            model.purge(args[0], "")
        else:
            model.remove(args[0], "")

    def settle(self, opened: Opened) -> None:
        """An unacknowledged change happened whole or not at all: find out which."""
        for thread, *intent in self.pending:
            if intent[0] == "push":
                found = opened.ws.find(intent[2][0])
                assert len(found) <= 1
                if found:
                    self.apply(self.model, intent, found[0].id, thread)
                continue
            touched = intent[1]
            after = deepcopy(self.model)
            try:
                self.apply(after, intent, "", thread)
            except Refused:
                continue
            actual = {id_: stand(opened, id_) for id_ in touched}
            expected = [{id_: (m.data[id_].tags, m.data[id_].status) for id_ in touched} for m in (self.model, after)]
            assert actual in expected
            if actual == expected[1]:
                self.model = after

    def verify(self, opened: Opened, *, may_repair: bool) -> None:
        """Only a flipped bit may have to be repaired: what a killed process leaves is sound as it is."""
        self.settle(opened)
        found = opened.ws.find()
        assert {d.id: ({str(t) for t in d.tags}, d.status) for d in found} == {
            id_: (self.model.data[id_].tags, self.model.data[id_].status) for id_ in self.model.listed()
        }
        for id_ in self.chance.sample(self.model.listed(), min(8, len(self.model.listed()))):
            self.read(opened, id_)
        if may_repair:
            mended = opened.ws.fsck(repair=True).problems
            assert [problem for problem in mended if problem.object != str(self.lab.index_file)] == []
        check(opened)

    def read(self, opened: Opened, id_: str) -> None:
        record = self.model.data[id_]
        if record.status == "purged":
            with pytest.raises(DataGone):
                opened.ws.ls(id_)
        else:
            read = {path: b"".join(opened.ws.cat(id_, path)) for path in record.files}
            assert read == record.files


def stand(opened: Opened, id_: str) -> tuple[set[str], str]:
    data = opened.ws.show(id_)
    return {str(tag) for tag in data.tags}, data.status


def leave(lab: Lab, chance: random.Random) -> None:
    """The index file as the killed process left it."""


def delete(lab: Lab, chance: random.Random) -> None:
    for file in lab.index_file.parent.glob("0.duckdb*"):
        file.unlink()


def cut_off(lab: Lab, chance: random.Random) -> None:
    for file in lab.index_file.parent.glob("0.duckdb*"):
        with file.open("r+b") as opened:
            opened.truncate(chance.randrange(max(1, file.stat().st_size)))


def flip_bit(lab: Lab, chance: random.Random) -> None:
    for file in lab.index_file.parent.glob("0.duckdb*"):
        flip(file, chance)


def flip(file: Any, chance: random.Random) -> None:
    data = bytearray(file.read_bytes())
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        file.write_bytes(data)


def crash(lab: Lab, *, kills: int, seed: int) -> None:
    crashes = Crashes(lab, seed)
    harms = cycle([leave, delete, leave, cut_off, leave, flip_bit])
    for _ in range(kills):
        crashes.round()
        harm = next(harms)
        harm(lab, crashes.chance)
        crashes.verify(lab.open(), may_repair=harm is flip_bit)
        lab.close()
    assert crashes.acknowledged >= 5 * kills
    opened = lab.open()
    opened.ws.gc(grace_seconds=0)
    for id_ in crashes.model.listed():
        crashes.read(opened, id_)
    check(opened, deep=True)


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in (2, 3))])
def test_p1_p2_p5_a_process_killed_at_any_moment_loses_nothing_acknowledged(lab: Lab, seed: int) -> None:
    crash(lab, kills=8, seed=seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10, 15))
def test_p1_p2_p5_processes_killed_at_two_hundred_moments(lab: Lab, seed: int) -> None:
    crash(lab, kills=40, seed=seed)
