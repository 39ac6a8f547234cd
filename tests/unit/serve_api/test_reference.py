"""The reference in docs/ is the one that the route table makes."""

from __future__ import annotations

from pathlib import Path

from serve_api.reference import reference
from serve_api.routes import all_routes

FILE = Path(__file__).parents[3] / "docs" / "api.md"


def test_the_reference_is_up_to_date() -> None:
    assert FILE.read_text(encoding="utf-8") == reference(all_routes()), "python -m serve_api.reference > docs/api.md"


def test_every_route_is_in_the_reference() -> None:
    text = reference(all_routes())

    assert [route.name for route in all_routes() if f"### {route.method} {route.shown_path}\n" not in text] == []
