"""`raykqi serve`: endpoints, which answer requests with models."""

from __future__ import annotations

from cli import serve_ask, serve_change, serve_deploy, serve_show
from cli.command import noun

__all__ = ["app"]

app = noun("Endpoints: models that answer requests by HTTP, rolled out by tags.")
serve_deploy.register(app)
serve_show.register(app)
serve_change.register(app)
serve_ask.register(app)
