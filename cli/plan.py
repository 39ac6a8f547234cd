"""`raykqi plan`: what to run when which data is there."""

from __future__ import annotations

from cli import plan_file
from cli.command import noun

__all__ = ["app"]

app = noun("Plans: which data makes what run, and what comes of it.")
plan_file.register(app)
