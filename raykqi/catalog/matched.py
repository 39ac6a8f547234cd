"""Which data each input of a plan may take: kept in the table `matched`, step by step with the fold.

Data matches an input when it is `done`, of the same project, and holds all of the input's tags.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import duckdb

from raykqi.catalog.handing import run_statements
from raykqi.catalog.memory import Match
from raykqi.catalog.ports import Candidate, Ports
from raykqi.catalog.rows import WHOLE, Rows, schema
from raykqi.domain.tags import Tag

__all__ = ["candidates", "match_all", "match_data", "match_ports"]

_FITS = """
    p.project = d.project AND d.status = 'done' AND (p.data_id = '' OR p.data_id = d.id::VARCHAR)
    AND (p.moment IS NULL OR date_trunc('millisecond', d.timestamp) = date_trunc('millisecond', p.moment))
"""
# An input begins at the postings of that of its tags which fewest data hold.
_MATCH_PORTS = f"""
    INSERT INTO matched
    WITH wanted AS (
        SELECT w.port, hash(w.key, w.value) AS hash, p.needs FROM plan_tag w JOIN plan_port p ON p.number = w.port
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
        GROUP BY c.port, c.data, w.needs HAVING count(*) = w.needs
    )
    SELECT p.number, d.number FROM holding c JOIN plan_port p ON p.number = c.port JOIN data d ON d.number = c.data
    WHERE {_FITS}
"""
_MATCH_PORTS_UNTAGGED = f"""
    INSERT INTO matched
    SELECT p.number, d.number FROM plan_port p JOIN data d ON {_FITS}
    WHERE p.kind = 'input' AND p.needs = 0 AND {{only}}
"""
_THESE = "p.number IN (SELECT unnest($numbers::BIGINT[]))"
_FORGET = "DELETE FROM matched WHERE data IN (SELECT unnest($numbers::BIGINT[]))"
_DONE = """
    SELECT number, id::VARCHAR, project, timestamp FROM data
    WHERE status = 'done' AND number IN (SELECT unnest($numbers::BIGINT[]))
"""
_TAGS = "SELECT data, key, value FROM tag WHERE data IN (SELECT unnest($numbers::BIGINT[]))"


def candidates(connection: duckdb.DuckDBPyConnection, numbers: Collection[int]) -> list[Candidate]:
    """Those of the data that are done, with their tags."""
    asked = {"numbers": list(numbers)}
    tags: dict[int, set[Tag]] = {}
    for number, key, value in connection.execute(_TAGS, asked).fetchall():
        tags.setdefault(number, set()).add(Tag(key, value))
    return [
        Candidate(number, id_, project, timestamp, frozenset(tags.get(number, ())))
        for number, id_, project, timestamp in connection.execute(_DONE, asked).fetchall()
    ]


def match_data(
    connection: duckdb.DuckDBPyConnection,
    ports: Ports,
    born: Iterable[Candidate],
    changed: Collection[int],
    ended: Collection[int],
) -> list[Match]:
    """Look at data that was born and that has changed; the matches of those that no input could take before.

    Those are the ones that were born, and among the changed ones those whose run has `ended`.
    """
    pairs = [(port, data.number) for data in born for port in ports.matched_by(data)]
    again: list[Match] = []
    if changed:
        connection.execute(_FORGET, {"numbers": list(changed)})
        again = [(port, data.number) for data in candidates(connection, changed) for port in ports.matched_by(data)]
    if pairs or again:
        found = Rows(schema(port=WHOLE, data=WHOLE))
        found.rows += pairs + again
        run_statements(connection, {"new_match": found}, ["INSERT INTO matched SELECT port, data FROM new_match"])
    return pairs + [(port, data) for port, data in again if data in ended]


def match_ports(connection: duckdb.DuckDBPyConnection, ports: Collection[int]) -> None:
    """What new inputs may take."""
    numbers = {"numbers": list(ports)}
    connection.execute("DELETE FROM matched WHERE port IN (SELECT unnest($numbers::BIGINT[]))", numbers)
    connection.execute(_MATCH_PORTS.format(only=_THESE), numbers)
    connection.execute(_MATCH_PORTS_UNTAGGED.format(only=_THESE), numbers)


def match_all(connection: duckdb.DuckDBPyConnection) -> None:
    """Make `matched` anew."""
    connection.execute("DELETE FROM matched")
    connection.execute(_MATCH_PORTS.format(only="true"))
    connection.execute(_MATCH_PORTS_UNTAGGED.format(only="true"))
