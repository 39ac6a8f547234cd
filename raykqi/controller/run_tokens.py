"""What commands need to talk with the server that runs them: its URL, and a token of their own."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from functools import cached_property

import msgspec

from raykqi.domain.ids import Clock
from raykqi.domain.order import Order
from raykqi.domain.run_token import RunToken, sign_run_token
from raykqi.storage.access_key import read_access_key
from raykqi.storage.filesystem import Store

__all__ = ["RunTokens"]

LONGEST = timedelta(days=7)
SPARE = timedelta(hours=1)  # for what comes before and after the command


class RunTokens:
    """Of a server at `url`. A token ends with its attempt, or at this time if nobody notices that."""

    def __init__(self, store: Store, url: str, clock: Clock) -> None:
        self._store = store
        self._url = url
        self._clock = clock

    def given(self, orders: Iterable[Order]) -> list[Order]:
        """The orders, those of commands with URL and token. Functions share processes and get none."""
        return [order if order.definition.function else self._with_token(order) for order in orders]

    def _with_token(self, order: Order) -> Order:
        timeout = order.definition.timeout
        lasts = min(LONGEST, timedelta(seconds=timeout) + SPARE) if 0 < timeout < LONGEST.total_seconds() else LONGEST
        token = RunToken(order.attempt.run, order.attempt.number, order.project, self._clock.now() + lasts)
        return msgspec.structs.replace(order, url=self._url, token=sign_run_token(token, self._key))

    @cached_property
    def _key(self) -> bytes:
        return read_access_key(self._store)
