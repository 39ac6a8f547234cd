"""Lineage as text and pictures: DOT, Mermaid, SVG, OpenLineage. Pure functions over domain values."""
