"""Plans with `reuse`: what was done before with the same content is taken, what is being done is waited for."""

from __future__ import annotations

import logging

from raykqi.catalog.queue import QueuedPlan, twins
from raykqi.controller.controller import Controller
from raykqi.engine.run_commands import ReuseRun
from raykqi.errors import RaykqiError

__all__ = ["without_twins"]

log = logging.getLogger(__name__)


def without_twins(controller: Controller, plan: QueuedPlan, runs: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Of a plan with `reuse`: what was done before is taken, and what is being done is waited for."""
    keeper = controller.keeper
    known = keeper.sound(lambda: twins(keeper.index, plan.id, [run for run, _ in runs])) if runs else {}
    answers = [
        controller.submit_later(ReuseRun("raykqi", run, twin))
        for run, (twin, status) in known.items()
        if status == "done"
    ]
    for answer in answers:
        try:
            answer.result()
        except RaykqiError as error:
            log.info("nothing is reused: %s", error.message)
    return [(run, number) for run, number in runs if run not in known]
