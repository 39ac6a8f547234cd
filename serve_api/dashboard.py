"""Where Ray's own dashboard shows a run: its actor, by the name that it has there."""

from __future__ import annotations

import logging

from raykqi.domain.run import Run

__all__ = ["page_of"]

log = logging.getLogger("raykqi.api")
WITHIN = 5  # seconds


def page_of(dashboard: str, run: Run) -> str:
    """The page of the run's actor while Ray knows it, else the list of all."""
    actors = f"{dashboard.rstrip('/')}/#/actors"
    import ray

    if not ray.is_initialized():
        return actors
    from ray.util.state import list_actors

    try:
        found = list_actors(filters=[("name", "=", f"raykqi-run-{run.id}-{run.attempt}")], limit=1, timeout=WITHIN)
    except Exception as error:  # Ray raises whatever its dashboard failed with; the list is there all the same
        log.info("Ray's dashboard does not tell of run %s: %s", run.id, error)
        return actors
    return f"{actors}/{found[0].actor_id}" if found else actors
