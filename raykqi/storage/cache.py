"""The caches on this machine: what sources held when they were pushed, and objects of remote stores."""

from __future__ import annotations

from raykqi.storage.node_cache import NodeCache
from raykqi.storage.stat_cache import StatCache

__all__ = ["NodeCache", "StatCache"]
