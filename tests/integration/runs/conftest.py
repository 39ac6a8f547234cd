"""A bench for each test: over each launcher, and over HTTP, where the test does not care which."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.lab import Lab
from tests.integration.runs.bench import Bench

# What must come out the same over HTTP.
OVER_HTTP = ("test_knitfab_behaviours", "test_matching")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    http = ["http"] if metafunc.module.__name__.rpartition(".")[2] in OVER_HTTP else []
    for fixture, kinds in (("bench", ["process", "sandbox"]), ("plain_bench", ["process"])):
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, [*kinds, *http], indirect=True)


@pytest.fixture
def bench(request: pytest.FixtureRequest, lab: Lab) -> Iterator[Bench]:
    yield from _made(lab, request.param)


@pytest.fixture
def plain_bench(request: pytest.FixtureRequest, lab: Lab) -> Iterator[Bench]:
    """Where nothing is run, or it does not matter how."""
    yield from _made(lab, request.param)


def _made(lab: Lab, kind: str) -> Iterator[Bench]:
    made = Bench(lab, is_remote=True) if kind == "http" else Bench(lab, kind)
    yield made
    made.close()
