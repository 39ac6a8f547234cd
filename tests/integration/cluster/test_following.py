"""The controller's actor and those who follow it: every verb as in an embedded workspace, and a kill loses nothing."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import ray
from ray.exceptions import RayActorError

from raykqi.cluster.controller_actor import find_controller, stop_controller
from raykqi.domain.ids import Clock
from raykqi.workspace import Workspace
from raykqi.workspace.follower import follow
from raykqi.workspace.hosted import controller_arguments, controller_name
from tests.comparison import assert_equals_journal
from tests.integration.cluster.cluster_lab import until
from tests.integration.lab import Lab, Opened
from tests.integration.test_workspace_changes import (  # noqa: F401
    source,
    test_many_data_are_tagged_in_one_entry,
    test_one_unknown_id_changes_nothing,
    test_purged_data_keep_record_tags_and_lineage_and_lose_their_bytes,
    test_purged_data_may_be_removed_and_the_last_word_stays,
    test_removal_waits_until_nothing_made_of_it_is_left,
    test_what_changes_nothing_is_not_recorded,
)


class FollowingLab(Lab):
    """Whatever is opened follows the one controller of the workspace."""

    def open(self, *, clock: Clock | None = None, user: str = "") -> Opened:
        settings = replace(self.settings, user=user or self.settings.user)
        workspace = follow(self.url, settings, controller_arguments(self.url, settings.user))
        opened = Opened(workspace, workspace._parts)
        self.opened.append(opened)
        return opened


@pytest.fixture
def following(ray_here: str, lab: Lab) -> Iterator[FollowingLab]:
    made = FollowingLab(lab.url, lab.settings, lab.folder)
    yield made
    if made.opened:
        stop_controller(name=controller_name(made.opened[0].parts.description))
    made.close()


@pytest.fixture
def opened(following: FollowingLab) -> Opened:
    return following.open()


@pytest.fixture
def ws(opened: Opened) -> Workspace:
    return opened.ws


def pid_of(name: str) -> int:
    """Of the process that is the controller, once it serves."""
    try:
        ray.get(find_controller(name=name).call.remote("running"), timeout=30)
        return int(ray.get(find_controller(name=name).pid.remote(), timeout=30))
    except RayActorError:
        return 0


def files(folder: Path, count: int) -> list[Path]:
    folder.mkdir()
    made = [folder / f"{number}.txt" for number in range(count)]
    for path in made:
        path.write_text(path.name, encoding="utf-8")
    return made


def test_what_one_writes_another_reads_when_it_has_come_as_far(following: FollowingLab, source: Path) -> None:  # noqa: F811
    one, other = following.open().ws, following.open().ws

    data = one.push(source, ["type:raw"])

    assert other.reach(one.seq, 20)
    assert [found.id for found in other.find("type:raw")] == [data.id]


def test_a_kill_during_pushes_loses_and_doubles_nothing(opened: Opened, tmp_path: Path) -> None:
    name, ws = controller_name(opened.parts.description), opened.ws
    sources = files(tmp_path / "in", 120)
    first = until(lambda: pid_of(name))

    with ThreadPoolExecutor(8) as pool:
        pushing = [pool.submit(ws.push, path, [f"file:{path.name}"]) for path in sources]
        until(lambda: sum(each.done() for each in pushing) > 20)
        os.kill(first, signal.SIGKILL)
        ids = [each.result(90).id for each in pushing]

    assert until(lambda: pid_of(name)) != first
    found = ws.find()
    assert sorted(data.id for data in found) == sorted(ids)
    names = Counter(tag.value for data in found for tag in data.tags if tag.key == "file")
    assert names == Counter(path.name for path in sources)
    assert_equals_journal(opened.parts.keeper.index, opened.parts.store)


def test_there_is_one_controller_whoever_follows(following: FollowingLab, source: Path) -> None:  # noqa: F811
    for _ in range(3):
        following.open().ws.push(source)

    actors = {pid_of(controller_name(each.parts.description)) for each in following.opened}
    assert len(actors) == 1
