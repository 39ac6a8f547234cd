"""Bytes in object storage: blobs, packs and trees, pushed, read back, verified and collected.

Knows nothing of tags, runs, journals or DuckDB.
"""
