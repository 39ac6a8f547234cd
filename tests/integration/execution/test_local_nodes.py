"""This machine as the only node: what starts when, what is told, and functions that break their process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from raykqi.domain.order import Attempt, Ended, Lost, Report, Running
from raykqi.domain.plan import NodeRules
from raykqi.domain.resources import Resources
from raykqi.domain.run import Exit
from raykqi.execution.local_nodes import LocalNodes
from tests.integration.execution.orders import Node

LONG = 20.0
CODE = {
    "work.py": b"""
import os, time
def fine(model): (model / 'a').write_text(os.environ['CUDA_VISIBLE_DEVICES'])
def around(model): (model / 'a').write_text(str(dict(os.environ)))
def gone(model): os._exit(3)
def slow(model):
    print('slow', flush=True)
    try: time.sleep(60)
    except KeyboardInterrupt:
        (model / 'part').write_text('part')
        raise
def deaf(model):
    while True:
        try: time.sleep(60)
        except KeyboardInterrupt: pass
"""
}


class Watch:
    """Every report, and a way to wait for one."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self._news = threading.Condition()

    def __call__(self, report: Report) -> None:
        with self._news:
            self.reports.append(report)
            self._news.notify_all()

    def wait(self, kind: type, attempt: Attempt) -> Report:
        with self._news:
            assert self._news.wait_for(lambda: self._found(kind, attempt), LONG), self.reports
            return self._found(kind, attempt)[0]

    def end(self, attempt: Attempt) -> Ended:
        report = self.wait(Ended, attempt)
        assert isinstance(report, Ended)
        return report

    def _found(self, kind: type, attempt: Attempt) -> list[Report]:
        return [report for report in self.reports if isinstance(report, kind) and report.attempt == attempt]


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def open_nodes(node: Node, watch: Watch) -> Iterator[Callable[..., LocalNodes]]:
    opened = []

    def open_(total: Resources, **more: object) -> LocalNodes:
        nodes = LocalNodes(node.settings, node.folder / "runs", total=total, **more)  # type: ignore[arg-type]
        nodes.open(watch, lambda: None)
        opened.append(nodes)
        return nodes

    yield open_
    for nodes in opened:
        nodes.close(leave_running=False)


def test_an_order_waits_until_its_resources_are_free(
    node: Node, watch: Watch, open_nodes: Callable[..., LocalNodes], tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    nodes = open_nodes(Resources(cpu=1000, memory=2 << 30))
    first = node.order("sh", "-c", f"until [ -e {gate} ]; do sleep 0.05; done")
    second = node.order("sh", "-c", f"test -e {gate}")

    nodes.start([first, second])
    watch.wait(Running, first.attempt)
    assert watch.reports == [Running(first.attempt, nodes.shapes()[0].name)]
    gate.touch()

    assert watch.end(second.attempt).exit == Exit(0)


def test_parts_of_a_gpu_are_packed_and_runs_without_see_none(
    node: Node, watch: Watch, open_nodes: Callable[..., LocalNodes]
) -> None:
    nodes = open_nodes(Resources(cpu=8000, memory=16 << 30, gpu=2000), gpus=("a", "b"))
    gate = node.folder / "gate"
    wait = f'until [ -e {gate} ]; do sleep 0.05; done; echo -n "$CUDA_VISIBLE_DEVICES" > "$RAYKQI_OUTPUT_MODEL/a"'
    quarter, whole, none = (Resources(gpu=amount) for amount in (250, 1000, 0))
    orders = [
        node.order("sh", "-c", wait, resources=each) for each in (quarter, quarter, quarter, quarter, whole, none)
    ]

    nodes.start(orders)
    for order in orders:
        watch.wait(Running, order.attempt)
    gate.touch()

    seen = [node.files(watch.end(order.attempt))["a"] for order in orders]
    assert seen == [b"a", b"a", b"a", b"a", b"b", b""]


def test_labels_that_must_be_there_keep_an_order_waiting(
    node: Node, watch: Watch, open_nodes: Callable[..., LocalNodes]
) -> None:
    nodes = open_nodes(Resources(cpu=2000, memory=4 << 30), labels={"disk": "ssd"})
    elsewhere = node.order("true", on_node=NodeRules(must=("disk=tape",)))
    here = node.order("true", on_node=NodeRules(must=("disk=nvme", "disk=ssd")))

    nodes.start([elsewhere, here])

    assert watch.end(here.attempt).exit == Exit(0)
    assert {report.attempt for report in watch.reports} == {here.attempt}
    nodes.stop(elsewhere.attempt, grace=1.0)
    assert watch.end(elsewhere.attempt).exit == Exit(143, "stopped before it began")


def test_functions_run_in_child_processes_that_they_may_break(
    node: Node, watch: Watch, open_nodes: Callable[..., LocalNodes]
) -> None:
    nodes = open_nodes(Resources(cpu=1000, memory=2 << 30))
    first, second, third = (node.order(function=f"work:{name}", code=CODE) for name in ("fine", "gone", "fine"))

    nodes.start([first, second, third])

    assert node.files(watch.end(first.attempt)) == {"a": b""}
    assert watch.wait(Lost, second.attempt) == Lost(second.attempt, "the process of the function ended with code 3")
    assert watch.end(third.attempt).exit == Exit(0)


def test_functions_see_no_secret_of_the_process_that_starts_them(
    node: Node, watch: Watch, open_nodes: Callable[..., LocalNodes], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RAY_AUTH_TOKEN", "RAYKQI_TOKEN", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "hush-hush")
    nodes = open_nodes(Resources(cpu=1000, memory=2 << 30))
    order = node.order(function="work:around", code=CODE)

    nodes.start([order])

    seen = node.files(watch.end(order.attempt))["a"]
    assert b"RAYKQI_RUN" in seen
    assert b"hush-hush" not in seen


def test_a_stopped_function_is_interrupted_and_keeps_what_it_made(
    node: Node, watch: Watch, open_nodes: Callable[..., LocalNodes]
) -> None:
    nodes = open_nodes(Resources(cpu=1000, memory=2 << 30))
    order = node.order(function="work:slow", code=CODE)
    nodes.start([order])
    wait_for_log(node, order.attempt, b"slow\n")

    nodes.stop(order.attempt, grace=LONG)

    ended = watch.end(order.attempt)
    assert ended.exit == Exit(130, "interrupted")
    assert node.files(ended) == {"part": b"part"}


def test_a_function_that_is_deaf_is_killed_after_the_grace(
    node: Node, watch: Watch, open_nodes: Callable[..., LocalNodes]
) -> None:
    nodes = open_nodes(Resources(cpu=1000, memory=2 << 30))
    order = node.order(function="work:deaf", code=CODE)
    nodes.start([order])
    watch.wait(Running, order.attempt)

    nodes.stop(order.attempt, grace=0.3)

    assert watch.end(order.attempt).exit == Exit(137, "stopped; it had to be killed")


def test_what_is_stored_again_is_told_again_until_it_is_dismissed(
    node: Node, watch: Watch, open_nodes: Callable[..., LocalNodes]
) -> None:
    nodes = open_nodes(Resources(cpu=1000, memory=2 << 30))
    order = node.order("sh", "-c", "echo kept > {outputs.model}/a")
    nodes.start([order])
    first = watch.end(order.attempt)
    node.store.delete([item.key for item in list(node.store.list("packs/"))])
    watch.reports.clear()

    nodes.store_again(order.attempt)

    again = watch.end(order.attempt)
    assert again.stored == first.stored
    assert node.files(again) == {"a": b"kept\n"}


def test_adopting_tells_ends_again_and_gives_up_what_is_not_there(
    node: Node, watch: Watch, open_nodes: Callable[..., LocalNodes]
) -> None:
    nodes = open_nodes(Resources(cpu=1000, memory=2 << 30))
    order = node.order("true")
    nodes.start([order])
    ended = watch.end(order.attempt)
    watch.reports.clear()

    nodes.adopt([order.attempt, Attempt("strange", 1)])

    assert watch.reports == [ended, Lost(Attempt("strange", 1), "the process that ran it is gone", blameless=True)]


def wait_for_log(node: Node, attempt: Attempt, text: bytes) -> None:
    from raykqi.execution.logs import follow_log

    late = threading.Event()
    timer = threading.Timer(LONG, late.set)
    timer.start()
    said = b""
    for piece in follow_log(node.store, attempt.run, attempt.number, late.is_set):
        said += piece
        if text in said:
            break
    timer.cancel()
    assert text in said
