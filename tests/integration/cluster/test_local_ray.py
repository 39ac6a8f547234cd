"""A Ray of our own: it starts with what was asked for, is nobody else's, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from raykqi.cluster.local_ray import start_or_join
from raykqi.errors import InvalidInput
from tests.integration.cluster.cluster_lab import still_there, until


@contextmanager
def ray_of(home: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.integration.cluster.starting_ray"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**environment, "HOME": str(home)},
    ) as process:
        assert process.stdout is not None
        try:
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


def test_a_ray_of_our_own_has_what_was_asked_for_and_closes_without_a_trace(tmp_path: Path) -> None:
    with ray_of(tmp_path) as (process, said):
        assert said["is_own"]
        assert said["dashboard"] == ""
        assert said["nice"] == os.getpriority(os.PRIO_PROCESS, 0)
        assert said["token"] == 0o600
        assert said["custom"] == {"license": 2000}
        assert said["zone"] == "b"
        assert len(said["pids"]) > 3

        answer, _ = process.communicate("close\n", timeout=60)

    assert json.loads(answer)["closing"] < 10
    assert still_there(said["pids"]) == []
    assert not Path(said["folder"]).exists()


def test_a_killed_starter_takes_its_nodes_and_workers_along(tmp_path: Path) -> None:
    with ray_of(tmp_path) as (process, said):
        process.kill()
        # Ray's own agents look for their head for a minute before they give up.
        until(lambda: not set(still_there(said["pids"])) - set(said["agents"]), within=20)


def test_a_ray_that_is_not_there_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cpus, labels cannot be given"):
        start_or_join(address="192.0.2.9:6379", cpus=2, labels={})
    with pytest.raises(InvalidInput, match="too long"):
        start_or_join(temp_dir=tmp_path / ("long" * 20))
