"""What runs write while they run, read once for all who follow: log and beat of an attempt."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress

from raykqi.domain.beat import Beat
from raykqi.workspace import Workspace
from serve_api.news import Listener
from serve_api.sse import Message

__all__ = ["Feeds"]

log = logging.getLogger("raykqi.api")
Key = tuple[str, int, bool]


class Feeds:
    """There is one for each attempt that somebody follows. For one thread: the loop's."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._feeds: dict[Key, _Feed] = {}

    @asynccontextmanager
    async def following(
        self, workspace: Workspace, listener: Listener, attempt: int, *, beats: bool = False
    ) -> AsyncIterator[None]:
        """The listener is told pieces of its run's log, by the byte where they end; or beats, as messages."""
        key = (listener.run, attempt, beats)
        feed = self._feeds.get(key)
        if feed is None:
            feed = self._feeds[key] = _Feed(workspace, *key)
        feed.listeners.add(listener)
        try:
            await asyncio.shield(feed.opened())
            yield
        finally:
            feed.listeners.discard(listener)
            if not feed.listeners and self._feeds.get(key) is feed:
                del self._feeds[key]
                await asyncio.shield(asyncio.to_thread(feed.close))


class _Feed:
    def __init__(self, workspace: Workspace, run: str, attempt: int, beats: bool) -> None:
        self.listeners: set[Listener] = set()
        self._workspace = workspace
        self._run, self._attempt, self._beats = run, attempt, beats
        self._reader = workspace.log_reader(run, attempt=attempt)
        self._beat: Beat | None = None
        self._undo = ExitStack()
        self._loop = asyncio.get_running_loop()
        self._opening: asyncio.Task[None] | None = None

    async def opened(self) -> None:
        if self._opening is None:
            self._opening = asyncio.create_task(asyncio.to_thread(self._open))
        await self._opening

    def _open(self) -> None:
        self._reader.seek(1 << 62)
        self._undo.enter_context(self._workspace.watching_run(self._run, self._attempt, self._look))

    def close(self) -> None:
        self._undo.close()

    def _look(self) -> None:
        """In the watch's thread."""
        try:
            if self._beats:
                beat = self._workspace.beat(self._run)
                if beat is not None and beat != self._beat:
                    self._beat = beat
                    self._send(0, Message.of("beat", beat))
                return
            for piece in self._reader.more():
                self._send(self._reader.at, piece)
        except Exception as error:  # the watch goes on; the next look reads what this one could not
            log.warning("the log of run %s could not be read: %s", self._run, error)

    def _send(self, number: int, piece: bytes) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._tell, number, piece)

    def _tell(self, number: int, piece: bytes) -> None:
        for listener in tuple(self.listeners):
            listener.tell(number, piece)
