"""Whoever runs plans is told of the runs of all projects."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cli.live import LiveLine
from cli.run_news import RunNews
from cli.session import Session
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
