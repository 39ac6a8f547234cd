"""What a transaction of the index remembers from round to round."""

from __future__ import annotations

from dataclasses import dataclass, field

import duckdb

from raykqi.catalog.following_endpoints import FollowingEndpoints
from raykqi.catalog.ports import Ports

__all__ = ["Match", "Memory"]

Match = tuple[int, int]  # an input and a data, by number


@dataclass
class Memory:
    """Numbers of its data, the inputs of all plans, and the endpoints that follow tags, if they were read.

    `matches` are those of data that became done in it.
    """

    ports: Ports
    has_plans: bool = False
    numbers: dict[str, int] = field(default_factory=dict)
    matches: list[Match] = field(default_factory=list)
    has_endpoints: bool = False
    followers: FollowingEndpoints | None = None

    def following(self, connection: duckdb.DuckDBPyConnection) -> FollowingEndpoints:
        """As they are in the open transaction."""
        if self.followers is None:
            self.followers = FollowingEndpoints.load(connection)
        return self.followers
