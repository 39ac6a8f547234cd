"""P9: what holds with processes of this machine holds on Ray, word for word: all behaviours that run something."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from raykqi.cluster.ray_nodes import RayNodes
from raykqi.domain.hooks import Hooks
from raykqi.server import Server
from tests.integration.lab import Lab
from tests.integration.runs.bench import Bench
from tests.integration.runs.test_knitfab_behaviours import (  # noqa: F401
    test_01_a_chain_runs_by_itself,
    test_04_retagging_never_repeats_a_run,
    test_05_a_tag_that_comes_makes_a_run_and_one_that_goes_takes_none_back,
    test_06_an_inactive_plan_keeps_its_runs_until_it_is_switched_on,
    test_07_only_what_is_done_feeds_others,
    test_09_what_is_stopped_feeds_others_unless_it_shall_fail,
    test_10_a_retry_makes_new_data_of_the_same_inputs,
    test_10_a_run_of_an_inactive_plan_is_not_started_by_a_retry,
    test_10_what_others_took_is_not_made_again,
    test_11_what_was_removed_never_comes_again,
    test_14_a_round_trip_keeps_everything_and_lineage_reaches_the_roots,
)
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
