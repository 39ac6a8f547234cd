"""`raykqi run`: what was run, what runs and what waits."""

from __future__ import annotations

from cli import run_change, run_find, run_log, run_show, run_top, run_wait
from cli.command import noun

__all__ = ["app"]

app = noun("Runs: what was made of which data, what runs now, and what waits.")
run_find.register(app)
run_show.register(app)
run_log.register(app)
run_change.register(app)
run_wait.register(app)
run_top.register(app)
