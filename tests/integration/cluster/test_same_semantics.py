"""P9: what holds with processes of this machine holds on Ray, word for word."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from raykqi.cluster.ray_nodes import RayNodes
from raykqi.domain.hooks import Hooks
from raykqi.server import Server
from tests.integration.lab import Lab
from tests.integration.runs.bench import Bench
from tests.integration.runs.test_knitfab_behaviours import *  # noqa: F403
from tests.integration.runs.test_matching import (  # noqa: F401
    test_a_backlog_is_made_piece_by_piece_and_nothing_is_dropped,
    test_all_matches_together_sit_in_one_input_each_in_its_folder,
    test_limits_hold_runs_back_and_say_so,
    test_the_same_data_may_sit_in_two_inputs,
    test_what_was_done_before_is_reused,
)


class RayBench(Bench):
    def serve(self, *, cpus: int = 4, gpus: int = 0, hooks: Hooks | None = None) -> Server:
        nodes = RayNodes(self.lab.settings, folder=str(self.lab.folder / "runs"), workspace=self.lab.url)
        self.server = self.ws.serve(nodes)
        return self.server


@pytest.fixture
def bench(lab: Lab, ray_here: str) -> Iterator[Bench]:
    made = RayBench(lab, "sandbox")
    yield made
    made.close()


plain_bench = bench
