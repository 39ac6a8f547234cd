"""Which data each input of a plan may take: kept in the table `matched`, step by step with the fold.

Data matches an input when it is `done`, of the same project, and holds all of the input's tags. Many
inputs and much data share tags such as a project's name, so everything begins at the rarest tag of an
input: among the inputs when data is looked at (table `anchor`), among the data when an input is.
"""

from __future__ import annotations

from collections.abc import Collection

import duckdb

__all__ = ["match_all", "rematch"]

_FITS = """
    p.project = d.project AND d.status = 'done' AND (p.data_id = '' OR p.data_id = d.id::VARCHAR)
    AND (p.moment IS NULL OR date_trunc('millisecond', d.timestamp) = date_trunc('millisecond', p.moment))
"""
_ADD_ANCHORS = """
    INSERT INTO anchor
    WITH shared AS (SELECT key, value, count(*) AS ports FROM plan_tag GROUP BY key, value)
    SELECT w.port, w.key, w.value FROM plan_tag w
    JOIN plan_port p ON p.number = w.port AND p.kind = 'input'
    JOIN shared s ON s.key = w.key AND s.value = w.value
    WHERE {only}
    QUALIFY row_number() OVER (PARTITION BY w.port ORDER BY s.ports, w.key, w.value) = 1
"""
_MATCH_DATA = f"""
    INSERT INTO matched
    WITH held AS (SELECT data, key, value FROM tag WHERE data IN (SELECT unnest($numbers::BIGINT[]))),
    candidate AS (
        SELECT a.port, h.data FROM held h JOIN anchor a ON a.key = h.key AND a.value = h.value
    )
    SELECT p.number, d.number FROM candidate c
    JOIN plan_port p ON p.number = c.port
    JOIN data d ON d.number = c.data AND d.number IN (SELECT unnest($numbers::BIGINT[]))
    JOIN plan_tag w ON w.port = c.port
    JOIN held h ON h.data = c.data AND h.key = w.key AND h.value = w.value
    WHERE {_FITS}
    GROUP BY p.number, d.number, p.needs HAVING count(*) = p.needs
"""
_MATCH_DATA_UNTAGGED = f"""
    INSERT INTO matched
    SELECT p.number, d.number FROM plan_port p JOIN data d ON {_FITS}
    WHERE p.kind = 'input' AND p.needs = 0 AND d.number IN (SELECT unnest($numbers::BIGINT[]))
"""
_MATCH_PORTS = f"""
    INSERT INTO matched
    WITH wanted AS (
        SELECT w.port, hash(w.key, w.value) AS hash FROM plan_tag w JOIN plan_port p ON p.number = w.port
        WHERE p.kind = 'input' AND {{only}}
    ),
    counted AS (
        SELECT h.hash, count(*) AS data FROM posting h WHERE h.hash IN (SELECT hash FROM wanted) GROUP BY h.hash
    ),
    rarest AS (
        SELECT w.port, w.hash FROM wanted w LEFT JOIN counted c ON c.hash = w.hash
        QUALIFY row_number() OVER (PARTITION BY w.port ORDER BY coalesce(c.data, 0), w.hash) = 1
    ),
    candidate AS (SELECT r.port, h.data FROM rarest r JOIN posting h ON h.hash = r.hash),
    holding AS (
        SELECT c.port, c.data FROM candidate c JOIN wanted w ON w.port = c.port
        JOIN posting h ON h.hash = w.hash AND h.data = c.data
        GROUP BY c.port, c.data HAVING count(DISTINCT w.hash) = (SELECT needs FROM plan_port WHERE number = c.port)
    )
    SELECT p.number, d.number FROM holding c JOIN plan_port p ON p.number = c.port JOIN data d ON d.number = c.data
    WHERE {_FITS}
"""
_MATCH_PORTS_UNTAGGED = f"""
    INSERT INTO matched
    SELECT p.number, d.number FROM plan_port p JOIN data d ON {_FITS}
    WHERE p.kind = 'input' AND p.needs = 0 AND {{only}}
"""
_THESE_PORTS = "p.number IN (SELECT unnest($numbers::BIGINT[]))"


def rematch(connection: duckdb.DuckDBPyConnection, data: Collection[int], ports: Collection[int]) -> None:
    """Bring `matched` up to date for data that have changed and for inputs that are new."""
    if ports:
        connection.execute(_ADD_ANCHORS.format(only=_THESE_PORTS), {"numbers": list(ports)})
    if data:
        numbers = {"numbers": list(data)}
        connection.execute("DELETE FROM matched WHERE data IN (SELECT unnest($numbers::BIGINT[]))", numbers)
        connection.execute(_MATCH_DATA, numbers)
        connection.execute(_MATCH_DATA_UNTAGGED, numbers)
    if ports:
        numbers = {"numbers": list(ports)}
        connection.execute("DELETE FROM matched WHERE port IN (SELECT unnest($numbers::BIGINT[]))", numbers)
        connection.execute(_MATCH_PORTS.format(only=_THESE_PORTS), numbers)
        connection.execute(_MATCH_PORTS_UNTAGGED.format(only=_THESE_PORTS), numbers)


def match_all(connection: duckdb.DuckDBPyConnection) -> None:
    """Make `matched` and `anchor` anew."""
    connection.execute("DELETE FROM matched")
    connection.execute("DELETE FROM anchor")
    connection.execute(_ADD_ANCHORS.format(only="true"))
    connection.execute(_MATCH_PORTS.format(only="true"))
    connection.execute(_MATCH_PORTS_UNTAGGED.format(only="true"))
