"""`raykqi plan`: what to run when which data is there."""

from __future__ import annotations

from cli import plan_apply, plan_change, plan_file, plan_find, plan_graph, plan_local, plan_show
from cli.command import noun

__all__ = ["app"]

app = noun("Plans: which data makes what run, and what comes of it.")
plan_apply.register(app)
plan_find.register(app)
plan_show.register(app)
plan_change.register(app)
plan_graph.register(app)
plan_file.register(app)
plan_local.register(app)
