"""Which data each input of a plan may take: kept in the table `matched`, step by step with the fold.

Data matches an input when it is `done`, of the same project, and holds all of the input's tags.
"""

from __future__ import annotations

from collections.abc import Collection

import duckdb

__all__ = ["match_all", "rematch"]

_SYSTEM_TAGS_FIT = """
    (p.data_id = '' OR p.data_id = d.id::VARCHAR)
    AND (p.moment IS NULL OR date_trunc('millisecond', d.timestamp) = date_trunc('millisecond', p.moment))
"""
_BY_TAGS = f"""
    SELECT p.number, d.number FROM data d JOIN tag t ON t.data = d.number
    JOIN plan_tag w ON w.key = t.key AND w.value = t.value
    JOIN plan_port p ON p.number = w.port AND p.kind = 'input' AND p.project = d.project
    WHERE d.status = 'done' AND {_SYSTEM_TAGS_FIT} AND {{only}}
    GROUP BY p.number, d.number, p.needs HAVING count(*) = p.needs
"""
_WITHOUT_TAGS = f"""
    SELECT p.number, d.number FROM data d JOIN plan_port p ON p.project = d.project
    WHERE p.kind = 'input' AND p.needs = 0 AND d.status = 'done' AND {_SYSTEM_TAGS_FIT} AND {{only}}
"""
_THESE_DATA = "d.number IN (SELECT unnest($numbers::BIGINT[])) AND t.data IN (SELECT unnest($numbers::BIGINT[]))"
_THESE_DATA_UNTAGGED = "d.number IN (SELECT unnest($numbers::BIGINT[]))"
_THESE_PORTS = "p.number IN (SELECT unnest($numbers::BIGINT[]))"
# For a new input: the data that hold its rarest-looking way in, the postings of all its tags.
_BY_POSTINGS = f"""
    SELECT p.number, d.number FROM plan_port p JOIN plan_tag w ON w.port = p.number
    JOIN posting h ON h.hash = hash(w.key, w.value)
    JOIN data d ON d.number = h.data AND d.project = p.project
    WHERE p.kind = 'input' AND d.status = 'done' AND {_SYSTEM_TAGS_FIT} AND {_THESE_PORTS}
    GROUP BY p.number, d.number, p.needs HAVING count(*) = p.needs
"""


def rematch(connection: duckdb.DuckDBPyConnection, data: Collection[int], ports: Collection[int]) -> None:
    """Bring `matched` up to date for data that have changed and for inputs that are new."""
    if data:
        numbers = {"numbers": list(data)}
        connection.execute("DELETE FROM matched WHERE data IN (SELECT unnest($numbers::BIGINT[]))", numbers)
        connection.execute(f"INSERT INTO matched {_BY_TAGS.format(only=_THESE_DATA)}", numbers)
        connection.execute(f"INSERT INTO matched {_WITHOUT_TAGS.format(only=_THESE_DATA_UNTAGGED)}", numbers)
    if ports:
        numbers = {"numbers": list(ports)}
        connection.execute("DELETE FROM matched WHERE port IN (SELECT unnest($numbers::BIGINT[]))", numbers)
        connection.execute(f"INSERT INTO matched {_BY_POSTINGS}", numbers)
        connection.execute(f"INSERT INTO matched {_WITHOUT_TAGS.format(only=_THESE_PORTS)}", numbers)


def match_all(connection: duckdb.DuckDBPyConnection) -> None:
    """Make `matched` anew."""
    connection.execute("DELETE FROM matched")
    connection.execute(f"INSERT INTO matched {_BY_TAGS.format(only='true')}")
    connection.execute(f"INSERT INTO matched {_WITHOUT_TAGS.format(only='true')}")
