"""A bench for each test, over each launcher where the test does not care which."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.lab import Lab
from tests.integration.runs.bench import Bench


@pytest.fixture(params=["process", "sandbox"])
def bench(request: pytest.FixtureRequest, lab: Lab) -> Iterator[Bench]:
    made = Bench(lab, request.param)
    yield made
    made.close()


@pytest.fixture
def plain_bench(lab: Lab) -> Iterator[Bench]:
    """Where nothing is run, or it does not matter how."""
    made = Bench(lab)
    yield made
    made.close()
