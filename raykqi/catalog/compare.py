"""Are two indexes the same, row for row?"""

from __future__ import annotations

from raykqi.catalog.index import Index

__all__ = ["differing_tables"]

_TABLES: tuple[str, ...] = ("run", "run_input", "data", "tag", "tag_past", "tombstone", "condemned", "posting")
_TABLES += ("plan", "plan_port", "plan_tag", "matched")
_TABLES += ("project", "member", "user_account", "token", "deed", "answered")
_TABLES += ("endpoint", "revision", "revision_move", "job")
# The number of rows and an order-free digest of them: two tables with the same are the same.
_DIGEST = "SELECT count(*), coalesce(sum(hash(t)::HUGEINT), 0), coalesce(bit_xor(hash(t)), 0) FROM {} t"


def differing_tables(one: Index, other: Index) -> tuple[str, ...]:
    """The tables whose rows differ, and `meta` when the two stand at different entries."""
    differing = [table for table in _TABLES if one.rows(_DIGEST.format(table)) != other.rows(_DIGEST.format(table))]
    return tuple(differing if one.position() == other.position() else ["meta", *differing])
