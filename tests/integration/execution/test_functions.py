"""Function plans inside of a process: what they get, how they end, and what is kept of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from raykqi.domain.order import Ended
from raykqi.domain.run import Exit
from raykqi.execution.functions import run_functions
from tests.integration.execution.orders import Node

CODE = b"""
import os, subprocess, sys

def double(dataset, model, factor):
    print("doubling", flush=True)
    text = (dataset / "n").read_text()
    (model / "n").write_text(str(int(text) * factor))

def nothing(model):
    pass

def talk(model):
    print("python")
    print("logged", file=sys.stderr)
    subprocess.run(["sh", "-c", "echo child; echo error >&2"])
    os.write(1, b"raw\\xff\\n")

def fail(model):
    (model / "part").write_text("half")
    raise ValueError("no good")

def leave(model, code):
    sys.exit(code)

def complain(model):
    sys.exit("it is broken")

def spoil(dataset, model):
    (dataset / "n").unlink()

def stall(model):
    while True:
        pass

def show(model):
    print(os.environ["RAYKQI_RUN"], os.environ["CUDA_VISIBLE_DEVICES"], os.environ["EXTRA"], os.getcwd() != "/")

class Wrapped:
    def __init__(self, function): self.function = function
    def __call__(self, **arguments): return self.function(**arguments)

@Wrapped
def wrapped(model):
    (model / "w").write_text("wrapped")
"""


@pytest.fixture(autouse=True)
def _one_code_at_a_time() -> Iterator[None]:
    path, written = list(sys.path), sys.dont_write_bytecode
    yield
    sys.path[:] = path
    sys.dont_write_bytecode = written


def call(node: Node, *functions: str, tmp_path: Path, **order: object) -> list[Ended]:
    code = {"lab/__init__.py": b"", "lab/work.py": CODE}
    orders = [node.order(function=f"lab.work:{name}", code=code, **order) for name in functions]  # type: ignore[arg-type]
    return run_functions(orders, node.settings, folder=tmp_path / "runs", gpus=("0",), node="node-1")


def test_a_function_gets_paths_and_params_and_its_output_is_stored(node: Node, tmp_path: Path) -> None:
    dataset = node.data({"n": b"21"})

    (ended,) = call(node, "double", tmp_path=tmp_path, inputs={"dataset": dataset}, params={"factor": 2}, log="new-log")

    assert ended.exit == Exit(0, "")
    assert node.files(ended) == {"n": b"42"}
    assert node.files(ended, "new-log") == {"log": b"doubling\n"}
    assert node.log(ended) == b"doubling\n"
    assert (ended.node, ended.usage.wall > 0) == ("node-1", True)
    assert list((tmp_path / "runs").iterdir()) == []


def test_each_order_of_a_batch_has_its_own_end_log_and_output(node: Node, tmp_path: Path) -> None:
    first, second, third, fourth = call(node, "talk", "fail", "wrapped", "nothing", tmp_path=tmp_path)

    assert [ended.exit for ended in (first, second, third, fourth)] == [
        Exit(0),
        Exit(1, "ValueError: no good"),
        Exit(0),
        Exit(0),
    ]
    assert node.log(first) == b"python\nlogged\nchild\nerror\nraw\xff\n"
    assert b"in fail\n    raise ValueError" in node.log(second)
    assert node.files(second) == {"part": b"half"}
    assert node.files(third) == {"w": b"wrapped"}
    assert (node.files(fourth), node.log(fourth)) == ({}, b"")


@pytest.mark.parametrize(("code", "end"), [(0, Exit(0)), (7, Exit(7, "exited with code 7"))])
def test_sys_exit_is_an_end_like_that_of_a_command(node: Node, tmp_path: Path, code: int, end: Exit) -> None:
    (ended,) = call(node, "leave", tmp_path=tmp_path, params={"code": code})

    assert ended.exit == end


def test_sys_exit_with_words_says_them(node: Node, tmp_path: Path) -> None:
    (ended,) = call(node, "complain", tmp_path=tmp_path)

    assert ended.exit == Exit(1, "SystemExit: it is broken")
    assert node.log(ended) == b"it is broken\n"


def test_a_function_cannot_spoil_the_input_of_another(node: Node, tmp_path: Path) -> None:
    dataset = node.data({"n": b"1"})

    call(node, "spoil", tmp_path=tmp_path, inputs={"dataset": dataset})
    (ended,) = call(node, "double", tmp_path=tmp_path, inputs={"dataset": dataset}, params={"factor": 5})

    assert node.files(ended) == {"n": b"5"}


def test_a_function_that_takes_too_long_is_interrupted(node: Node, tmp_path: Path) -> None:
    (ended,) = call(node, "stall", tmp_path=tmp_path, timeout=0.3)

    assert ended.exit == Exit(124, "timed out after 0.3 s")


def test_a_function_sees_its_run_its_gpus_and_what_hooks_added(node: Node, tmp_path: Path) -> None:
    (ended,) = call(node, "show", tmp_path=tmp_path, hook_env={"EXTRA": "from hook"})

    assert node.log(ended) == f"{ended.attempt.run} 0 from hook True\n".encode()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("lab.nowhere:double", "the module 'lab.nowhere' cannot be imported: ModuleNotFoundError: No module named"),
        ("lab.work:missing", "'lab.work' has no 'missing'"),
        ("lab.work:CODE", "'lab.work' has no 'CODE'"),
        ("lab", "'lab' names no function"),
    ],
)
def test_a_function_that_is_not_there_could_not_be_started(
    node: Node, tmp_path: Path, function: str, message: str
) -> None:
    order = node.order(function=function, code={"lab/__init__.py": b"", "lab/work.py": CODE})

    (ended,) = run_functions([order], node.settings, folder=tmp_path / "runs")

    assert ended.exit.code == 255
    assert message in ended.exit.message


def test_an_input_that_is_not_there_ends_only_its_own_order(node: Node, tmp_path: Path) -> None:
    code = {"lab/__init__.py": b"", "lab/work.py": CODE}
    good = node.order(function="lab.work:nothing", code=code)
    bad = node.order(function="lab.work:double", code=code, inputs={"dataset": "ab" * 32}, params={"factor": 1})

    first, second = run_functions([bad, good], node.settings, folder=tmp_path / "runs")

    assert first.exit.code == 255
    assert "abab" in first.exit.message
    assert second.exit == Exit(0)


def test_another_code_in_the_same_process_is_another_module(node: Node, tmp_path: Path) -> None:
    def answer(text: str) -> bytes:
        code = {"answers.py": f"def answer(model): (model / 'a').write_text('{text}')".encode()}
        (ended,) = run_functions(
            [node.order(function="answers:answer", code=code)], node.settings, folder=tmp_path / "runs"
        )
        return node.files(ended)["a"]

    assert [answer("one"), answer("two")] == [b"one", b"two"]


def test_a_long_log_of_a_function_is_whole(node: Node, tmp_path: Path) -> None:
    code = {"talker.py": b"def talk(model):\n    for line in range(40000): print('x' * 49)\n"}
    order = node.order(function="talker:talk", code=code, log="new-log")

    (ended,) = run_functions([order], node.settings, folder=tmp_path / "runs")

    assert ended.exit == Exit(0)
    assert len(node.log(ended)) == 2_000_000
    assert {path: len(data) for path, data in node.files(ended, "new-log").items()} == {"log": 2_000_000}
