"""The controller on a cluster: one of it, which comes back by itself until it is stopped."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import ray
from ray.exceptions import RayActorError

from raykqi.cluster.controller_actor import find_controller, start_controller, stop_controller
from raykqi.errors import NotFound, RaykqiError
from tests.integration.cluster.cluster_lab import until

COUNTER = "tests.integration.cluster.serving_counter:Counter"


def pid_when_it_answers() -> int:
    try:
        return int(ray.get(find_controller().call.remote("pid"), timeout=30))
    except RayActorError:
        return 0


def test_it_is_there_once_comes_back_after_a_kill_and_stays_away_after_a_stop(ray_here: str, tmp_path: Path) -> None:
    first = start_controller(COUNTER, {"folder": str(tmp_path), "name": "lab"})
    start_controller(COUNTER, {"folder": str(tmp_path), "name": "another"})
    assert ray.get(first.call.remote("add", 2, 3)) == 5
    pid = pid_when_it_answers()

    os.kill(pid, signal.SIGKILL)

    again = until(pid_when_it_answers)
    assert (tmp_path / "begun").read_text(encoding="utf-8") == f"lab {pid}\nlab {again}\n"

    stop_controller()
    assert (tmp_path / "closed").exists()
    with pytest.raises(NotFound, match="no controller named raykqi-controller"):
        find_controller()


def test_what_keeps_it_from_serving_is_raised_where_it_is_started(ray_here: str) -> None:
    with pytest.raises(RaykqiError, match=r"could not begin: .*owned by somebody else"):
        start_controller("tests.integration.cluster.serving_counter:refuse", {}, name="raykqi-controller-refused")
