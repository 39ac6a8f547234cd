"""A bench for each test, of processes; the soak tests also have it over the other launcher, and over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.lab import Lab
from tests.integration.runs.bench import Bench

# What must come out the same over HTTP, and in a sandbox, each time that the suite runs. The first of them also runs on
# Ray, in sandboxes (tests/integration/cluster/test_same_semantics.py).
OVER_HTTP = ("test_knitfab_behaviours",)
IN_SANDBOXES = ("test_promises_runs",)
OVER_HTTP_IN_SOAK = ("test_matching",)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    module = metafunc.module.__name__.rpartition(".")[2]
    kinds: list[object] = ["process"]
    if module in OVER_HTTP + OVER_HTTP_IN_SOAK:
        kinds.append(pytest.param("http", marks=[] if module in OVER_HTTP else pytest.mark.soak))
    if "plain_bench" in metafunc.fixturenames:
        metafunc.parametrize("plain_bench", kinds, indirect=True)
    if "bench" in metafunc.fixturenames:
        kinds.append(pytest.param("sandbox", marks=[] if module in IN_SANDBOXES else pytest.mark.soak))
        metafunc.parametrize("bench", kinds, indirect=True)


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
