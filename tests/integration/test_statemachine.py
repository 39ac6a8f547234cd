"""Any commands in any order, by two controllers in turns, against the model: the same answers, and fsck clean."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from raykqi.errors import InUse, UnknownId
from raykqi.journal.segments import compact
from raykqi.opening import create_workspace
from raykqi.settings import Settings
from tests.comparison import assert_equals_journal
from tests.integration.lab import Lab, Opened, SteppedClock
from tests.model import Model, Refused

TAGS = ["type:dataset", "type:model", "split:train", "split:test", "言語:日本語", "note:"]
KEYS = ["type", "split", "note"]
CONTENTS: list[dict[str, bytes]] = [
    {},
    {"a.txt": b"alpha"},
    {"a.txt": b"alpha", "deep/写真.bin": bytes(range(256)) * 8},
    {"a.txt": b"beta", "empty": b""},
    {"big.bin": b"\x5a" * (1 << 20), "a.txt": b"alpha"},
]

tag_sets = st.lists(st.sampled_from(TAGS), max_size=3, unique=True)
numbers = st.integers(0, 1 << 16)
many = st.lists(numbers, min_size=1, max_size=4)
who = st.integers(0, 1)


class Commands(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="raykqi-machine-"))
        self.clock = SteppedClock()
        config = Settings(user="tester", cache_dir=self.folder / "cache", lock_timeout=20.0)
        self.lab = Lab(str(self.folder / "workspace"), config, self.folder)
        create_workspace(self.lab.url, config, clock=self.clock)
        self.model = Model()
        self.open: list[Opened] = []
        self.open_both()
        self.last = self.open[0]

    def open_both(self) -> None:
        self.open = [self.lab.open(clock=self.clock), self.lab.open(clock=self.clock)]

    def use(self, number: int) -> Opened:
        self.last = self.open[number]
        return self.last

    def ids(self, chosen: Iterable[int]) -> list[str]:
        known = list(self.model.data)
        return list(dict.fromkeys(known[number % len(known)] for number in chosen))

    def has_data(self) -> bool:
        return bool(self.model.data)

    @rule(who=who, content=st.integers(0, len(CONTENTS) - 1), tags=tag_sets, inputs=st.lists(numbers, max_size=2))
    def push(self, who: int, content: int, tags: list[str], inputs: list[int]) -> None:
        listed = self.model.listed()
        given = {f"in{n}": listed[number % len(listed)] for n, number in enumerate(inputs) if listed}
        source = self.lab.files(f"content{content}", CONTENTS[content])
        pushed = self.use(who).ws.push(source, tags, inputs=given)
        self.model.push(pushed.id, CONTENTS[content], tags, given.values())

    @precondition(has_data)
    @rule(who=who, chosen=many, add=tag_sets, remove=tag_sets, keys=st.sets(st.sampled_from(KEYS), max_size=1))
    def tag(self, who: int, chosen: list[int], add: list[str], remove: list[str], keys: set[str]) -> None:
        ids = self.ids(chosen)
        try:
            expected = self.model.tag(ids, add, remove, keys)
        except Refused:
            with pytest.raises(UnknownId):
                self.use(who).ws.tag(ids, add=add, remove=remove, remove_keys=keys)
            return
        changes = self.use(who).ws.tag(ids, add=add, remove=remove, remove_keys=keys)
        assert {
            change.data: ({str(tag) for tag in change.removed}, {str(tag) for tag in change.added})
            for change in changes
        } == expected

    @precondition(has_data)
    @rule(who=who, chosen=many, dry_run=st.booleans())
    def purge(self, who: int, chosen: list[int], dry_run: bool) -> None:
        ids = self.ids(chosen)
        if dry_run:
            self.preview(who, ids)
            return
        try:
            expected = self.model.purge(ids, "no longer needed")
        except Refused:
            with pytest.raises(UnknownId):
                self.use(who).ws.purge(ids, "no longer needed")
            return
        assert self.use(who).ws.purge(ids, "no longer needed") == expected

    def preview(self, who: int, ids: list[str]) -> None:
        try:
            self.use(who).ws.purge(ids, "not really", dry_run=True)
        except UnknownId:
            assert any(self.model.data[id_].status == "removed" for id_ in ids)

    @precondition(has_data)
    @rule(who=who, chosen=many)
    def remove(self, who: int, chosen: list[int]) -> None:
        ids = self.ids(chosen)
        try:
            expected = self.model.remove(ids, "a mistake")
        except Refused:
            with pytest.raises((UnknownId, InUse)):
                self.use(who).ws.remove(ids, "a mistake")
            return
        assert self.use(who).ws.remove(ids, "a mistake") == expected

    @rule(who=who, dry_run=st.booleans())
    def collect(self, who: int, dry_run: bool) -> None:
        self.use(who).ws.gc(dry_run=dry_run, grace_seconds=0)

    @rule(who=who)
    def snapshot(self, who: int) -> None:
        self.use(who).ws.snapshot()

    @rule(who=who)
    def compact(self, who: int) -> None:
        parts = self.use(who).parts
        compact(parts.store, parts.keeper.position.seq, min_age=0)

    @rule(who=who, from_snapshot=st.booleans())
    def rebuild(self, who: int, from_snapshot: bool) -> None:
        self.use(who).ws.rebuild(from_snapshot=from_snapshot)

    @rule(seconds=st.sampled_from([-86_400, -3, 2, 40_000]))
    def set_clock(self, seconds: int) -> None:
        self.clock.jump(seconds)

    @rule(without_index=st.booleans())
    def reopen(self, without_index: bool) -> None:
        self.lab.close()
        if without_index:
            shutil.rmtree(self.lab.root / "index")
        self.open_both()
        self.last = self.open[0]

    @invariant()
    def nothing_is_wrong(self) -> None:
        assert self.last.ws.fsck().problems == ()

    @invariant()
    def every_answer_is_that_of_the_model(self) -> None:
        ws, model = self.last.ws, self.model
        found = ws.find()
        assert [data.id for data in found] == model.listed()
        assert {data.id: {str(tag) for tag in data.tags} for data in found} == {
            id_: model.data[id_].tags for id_ in model.listed()
        }
        assert [data.id for data in ws.find("type:dataset", "!split:train")] == model.find(
            ["type:dataset"], ["split:train"]
        )
        assert {f"{tag.key}:{tag.value}": tag.count for tag in ws.tags()} == model.tag_counts()

    @precondition(has_data)
    @rule(who=who, number=numbers)
    def ask_for_lineage(self, who: int, number: int) -> None:
        (id_,) = self.ids([number])
        ws = self.use(who).ws
        assert {node.id for node in ws.lineage(id_, way="up").data} == self.model.upstream(id_)
        assert {node.id for node in ws.impact(id_).data} == self.model.downstream(id_)
        (node,) = (node for node in ws.lineage(id_, depth=1).data if node.id == id_)
        last = self.model.data[id_].tombstones[-1:]
        shown = [(node.tombstone.kind, node.tombstone.reason)] if node.tombstone else []
        assert shown == list(last)

    @precondition(has_data)
    @rule(who=who, number=numbers)
    def read(self, who: int, number: int) -> None:
        (id_,) = self.ids([number])
        record = self.model.data[id_]
        if record.status == "done":
            ws = self.use(who).ws
            read = {entry.path: b"".join(ws.cat(id_, entry.path)) for entry in ws.ls(id_) if entry.kind == "file"}
            assert read == record.files

    def teardown(self) -> None:
        if not hasattr(self, "lab"):
            return
        try:
            assert_equals_journal(self.last.parts.keeper.index, self.last.parts.store)
            for id_ in self.model.listed():
                if self.model.data[id_].status == "done":
                    assert sorted(entry.path for entry in self.last.ws.ls(id_) if entry.kind == "file") == sorted(
                        self.model.data[id_].files
                    )
        finally:
            self.lab.close()
            shutil.rmtree(self.folder)


SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


class TestCommands(Commands.TestCase):  # type: ignore[name-defined, misc]
    settings = settings(max_examples=4, stateful_step_count=25, suppress_health_check=SLOW_IS_FINE)


@pytest.mark.soak
class TestManyCommands(Commands.TestCase):  # type: ignore[name-defined, misc]
    settings = settings(max_examples=60, stateful_step_count=50, suppress_health_check=SLOW_IS_FINE)
