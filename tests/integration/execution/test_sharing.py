"""What runs of one node share: inputs that are made once, and environments."""

from __future__ import annotations

import fcntl
import os
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from raykqi.domain.run import Exit
from raykqi.execution.cgroup import Cgroup
from raykqi.execution.inputs import SharedTrees
from raykqi.execution.runtime_env import environment_programs
from raykqi.execution.stopping import Stopped, Stopping
from raykqi.settings import Settings
from tests.integration.execution.orders import Node
from tests.integration.execution.watching import Background, eventually


def test_an_input_is_made_once_for_all_runs(node: Node) -> None:
    tree = node.data({"a": b"one"})
    node.run("true", inputs={"x": tree})
    node.store.delete([item.key for item in list(node.store.list("packs/"))])

    ended = node.run("cat", "{inputs.x}/a", inputs={"x": tree})

    assert node.log(ended) == b"one"


def test_many_at_once_make_one_copy(node: Node) -> None:
    tree = node.data({f"{number}": b"x" * 1000 for number in range(200)})
    places = []

    def take() -> None:
        shared = SharedTrees(node.store, node.settings)
        places.append(shared.place(tree))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(places)) == 1
    assert places[0] is not None
    assert len(list(places[0].iterdir())) == 200


def test_what_was_unused_for_longest_makes_room_but_nothing_in_use(node: Node) -> None:
    settings = replace(node.settings, cache_bytes=2500)
    trees = [node.data({"a": bytes([number]) * 1000}) for number in range(4)]
    held, free = SharedTrees(node.store, settings), SharedTrees(node.store, settings)
    first = held.place(trees[0])
    second = free.place(trees[1])
    free.close()

    third = free.place(trees[2])

    assert first
    assert second
    assert third
    assert (first.exists(), second.exists(), third.exists()) == (True, False, True)


def test_an_input_too_large_for_the_cache_is_made_for_its_run_alone(each_node: Node) -> None:
    each_node.settings = replace(each_node.settings, cache_bytes=100)
    tree = each_node.data({"a": b"x" * 1000})

    ended = each_node.run("sh", "-c", "wc -c < {inputs.x}/a; touch {inputs.x}/b", inputs={"x": tree})

    assert each_node.log(ended).startswith(b"1000\n")
    assert b"Read-only file system" in each_node.log(ended)


def test_a_run_that_waits_for_the_input_of_another_can_be_stopped(node: Node) -> None:
    tree = node.data({"a": b"one"})
    own = node.settings.cache_dir / "inputs" / tree
    own.mkdir(parents=True)
    with open(own / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run = Background(node, node.order("true", inputs={"x": tree}))
        eventually(lambda: (node.folder / "runs").exists())

        run.supervisor.stop(10.0)

        assert run.wait().exit.message == "stopped before its command was launched"


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A folder with one package, so that nothing is fetched from anywhere."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    info = "lab_tool-1.0.dist-info"
    with zipfile.ZipFile(folder / "lab_tool-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("lab_tool.py", "def main(): print('the tool')\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: lab-tool\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/entry_points.txt", "[console_scripts]\nlab-tool = lab_tool:main\n")
        wheel.writestr(f"{info}/RECORD", "")
    return folder


def with_wheels(node: Node, wheels: Path) -> Settings:
    env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    return replace(node.settings, node_env=tuple(env.items()))


def test_packages_of_a_plan_are_there_and_so_are_those_of_the_node(each_node: Node, wheels: Path) -> None:
    each_node.settings = with_wheels(each_node, wheels)
    wanted = {"pip": ["lab-tool"], "env_vars": {"MODE": "fast"}}

    ended = each_node.run(
        "sh", "-c", "lab-tool && python -c 'import raykqi, msgspec' && echo $MODE", runtime_env=wanted
    )

    assert (ended.exit, each_node.log(ended)) == (Exit(0), b"the tool\nfast\n")


def test_an_environment_is_made_once_and_a_half_made_one_is_thrown_away(node: Node, wheels: Path) -> None:
    env = dict(with_wheels(node, wheels).node_env)
    wanted = {"pip": ["lab-tool"]}

    def make() -> Path:
        programs = environment_programs(wanted, cache=node.settings.cache_dir, env=env, stopping=Stopping())
        assert programs is not None
        return programs

    first = make()
    (first / "mark").touch()
    assert (make() / "mark").exists()
    (first.parent / "finished").unlink()
    assert not (make() / "mark").exists()


def test_making_an_environment_can_be_stopped(node: Node) -> None:
    stopping = Stopping()
    stopping.request(0.0)

    with pytest.raises(Stopped):
        environment_programs({"pip": ["lab-tool"]}, cache=node.settings.cache_dir, env={}, stopping=stopping)

    assert not any(path.is_dir() for path in (node.settings.cache_dir / "environments").iterdir())


def test_control_groups_of_killed_supervisors_are_swept_but_not_young_ones(node: Node) -> None:
    old, young = Cgroup.make("raykqi-test-old", 0), Cgroup.make("raykqi-test-young", 0)
    if not old.entrances:
        pytest.skip("needs the right to make control groups")
    places = [Path(entrance).parent for entrance in (old.entrances[0], young.entrances[0])]
    os.utime(places[0], (1, 1))

    node.run("true")

    assert [place.exists() for place in places] == [False, True]
    for group in (old, young):
        group.remove()
