"""Lineage as text and pictures: DOT, Mermaid, SVG, OpenLineage. Pure functions over domain values."""

from raykqi.rendering.drawing import FORMATS, draw, format_of

__all__ = ["FORMATS", "draw", "format_of"]
