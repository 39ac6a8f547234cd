"""Whoever runs plans is told of the runs of all projects."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cli.live import LiveLine
from cli.run_news import RunNews
from cli.session import Session
from raykqi.workspace import Workspace
from tests.integration.lab import Lab
from tests.integration.runs.bench import SOON, Bench


@pytest.fixture
def bench(lab: Lab) -> Iterator[Bench]:
    made = Bench(lab)
    yield made
    made.close()


def test_runs_of_every_project_are_told_and_counted(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.ws.create_project("vision")
    vision = bench.ws.acting(user="mika", project="vision")
    with LiveLine() as line:
        news = RunNews(Session(), bench.ws, line)
        vision.apply(bench.text("exit 3", inputs={"/in": ["a:b"]}, more="name: far\n"))
        bench.plan("true", inputs={"/in": ["a:b"]}, more="name: near\n")
        vision.push(bench.lab.files("far", {"file": b"far"}), ["a:b"])
        bench.push("a:b")
        bench.serve()
        for each in (vision, bench.ws):
            each.wait(timeout=SOON)

        news.look()

    assert news.counts == {"done": 1, "failed": 1}
    told = capsys.readouterr().out
    assert "far" in told
    assert "near" in told


def test_a_run_that_ends_while_the_projects_are_asked_is_told_once(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.ws.create_project("vision")
    vision = bench.ws.acting(user="mika", project="vision")

    class Between(RunNews):
        """Runs end in every project after the first was asked, the one asked last being the youngest."""

        def projects(self) -> Iterator[tuple[str, Workspace]]:
            first, *others = super().projects()
            yield first
            if bench.server is None:
                bench.serve()
                bench.until(bench.only_run(), "done")
                vision.push(bench.lab.files("far", {"file": b"far"}), ["a:b"])
                vision.wait(timeout=SOON)
            yield from others

    with LiveLine() as line:
        news = Between(Session(), bench.ws, line)
        vision.apply(bench.text("true", inputs={"/in": ["a:b"]}, more="name: far\n"))
        bench.plan("true", inputs={"/in": ["a:b"]}, more="name: near\n")
        bench.push("a:b")

        for _ in range(4):
            news.look()

    assert news.counts == {"done": 2}
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[1:3] for line in told] == [["done", "far"], ["done", "near"]]
