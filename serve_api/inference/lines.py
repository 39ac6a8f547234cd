"""The log of a replica: what it and the processes of its models say, kept and carried into the store.

The newest lines are in memory; all go to `logs/<endpoint>/<replica>/<n>.log` a second later. More than that keeps
while the store is away is dropped, and the log says how much. What is old goes, also that of replicas that have gone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime

from raykqi.errors import RaykqiError
from raykqi.execution.log_reader import chunk_key
from raykqi.storage.filesystem import Store

__all__ = ["Lines"]

log = logging.getLogger(__name__)
KEPT = 2_000
LONGEST = 4_000  # characters of a line
EACH = 1.0  # seconds between chunks
AGAIN = 5.0  # seconds until a store that refused is tried again
ENDING = 5.0
MOST = 20_000  # chunks of one replica that stay
DAYS = 30.0  # for which any chunk stays
SWEEP = 1_000  # chunks after which old ones are looked for again


class Lines:
    def __init__(self, store: Store, endpoint: str, replica: str) -> None:
        self._store = store
        self._endpoint, self._replica = endpoint, replica
        self.newest: deque[str] = deque(maxlen=KEPT)
        self._unsent: deque[str] = deque(maxlen=KEPT)
        self._dropped = 0
        self._number = 0
        self._said = asyncio.Event()
        self._is_over = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        self._task = asyncio.create_task(self._carry(), name="raykqi-lines")

    def say(self, text: str) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for each in text.splitlines() or [""]:
            line = f"{at} {each[:LONGEST]}"
            self.newest.append(line)
            self._dropped += len(self._unsent) == KEPT
            self._unsent.append(line)
        self._said.set()

    async def close(self) -> None:
        """Carry the rest over, if the store takes it now."""
        self._is_over.set()
        self._said.set()
        if self._task:
            await asyncio.wait([self._task], timeout=ENDING)
            self._task.cancel()

    async def _carry(self) -> None:
        await self._sweep()
        while not self._is_over.is_set():
            await self._said.wait()
            self._said.clear()
            pause = EACH if await self._send() else AGAIN
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._is_over.wait()
            if self._unsent:
                self._said.set()
        await self._send()

    async def _send(self) -> bool:
        if not self._unsent:
            return True
        taken, dropped = list(self._unsent), self._dropped
        self._unsent.clear()
        self._dropped = 0
        head = [f"({dropped} lines before were lost)"] if dropped else []
        data = "".join(f"{line}\n" for line in [*head, *taken]).encode(errors="replace")
        try:
            await asyncio.to_thread(self._store.put, chunk_key(self._endpoint, self._replica, self._number), data)
        except (RaykqiError, OSError) as error:
            log.warning("the log of %s could not be stored: %s", self._endpoint, error)
            room = KEPT - len(self._unsent)
            self._dropped += dropped + max(0, len(taken) - room)
            self._unsent.extendleft(reversed(taken[max(0, len(taken) - room) :]))
            return False
        self._number += 1
        with suppress(RaykqiError, OSError):
            if self._number > MOST:
                oldest = chunk_key(self._endpoint, self._replica, self._number - MOST - 1)
                await asyncio.to_thread(self._store.delete, [oldest])
        if self._number % SWEEP == 0:
            await self._sweep()
        return True

    async def _sweep(self) -> None:
        with suppress(RaykqiError, OSError):
            await asyncio.to_thread(self._delete_old)

    def _delete_old(self) -> None:
        until = time.time() - DAYS * 86_400
        old = [each.key for each in self._store.list(f"logs/{self._endpoint}/") if each.modified < until]
        if old:
            self._store.delete(old)
