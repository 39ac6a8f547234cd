"""Tells every open stream of this process what was committed: one watch, one reading of each entry, many listeners.

A listener that does not keep up is let go: it comes back with the number of the last entry it has seen,
and reads on from the journal.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager, suppress

from raykqi.domain.commit import Commit
from raykqi.errors import RaykqiError
from raykqi.workspace import Workspace
from serve_api.sse import Message

__all__ = ["Listener", "News", "follow", "message_of"]

log = logging.getLogger("raykqi.api")
MOST_WAITING = 256  # messages that a slow listener may be behind
MOST_BYTES = 8 * 1024 * 1024


class Listener:
    """Of one project. `project` "" hears of none, and is only woken."""

    def __init__(self, project: str) -> None:
        self.project = project
        self.is_late = False
        self._waiting: deque[tuple[int, Message]] = deque()
        self._bytes = 0
        self._woken = asyncio.Event()

    def tell(self, seq: int, message: Message) -> None:
        self._waiting.append((seq, message))
        self._bytes += len(message)
        if len(self._waiting) > MOST_WAITING or self._bytes > MOST_BYTES:
            self.is_late = True
            self._waiting.clear()
            self._bytes = 0
        self._woken.set()

    def wake(self) -> None:
        self._woken.set()

    async def wait(self, seconds: float) -> bool:
        """Until something was committed anywhere; False when the time is over before."""
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return False
        self._woken.clear()
        return True

    def take(self) -> Iterator[tuple[int, Message]]:
        while self._waiting:
            seq, message = self._waiting.popleft()
            self._bytes -= len(message)
            yield seq, message


class News:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._listeners: set[Listener] = set()
        self._undo = ExitStack()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._seq = 0  # told of so far; of the watch's thread

    def open(self) -> None:
        """In the loop that serves. From now on the index keeps up with what others commit."""
        self._loop = asyncio.get_running_loop()
        self._seq = self._workspace.refresh()
        self._undo.enter_context(self._workspace.watching(self._look))

    def close(self) -> None:
        for listener in self._listeners:
            listener.is_late = True
            listener.wake()
        self._undo.close()

    @contextmanager
    def listening(self, project: str) -> Iterator[Listener]:
        listener = Listener(project)
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def _look(self) -> None:
        """In the watch's thread."""
        assert self._loop
        try:
            seq = self._workspace.refresh()
            if seq == self._seq:
                return
            told: list[tuple[int, dict[str, Message]]] = []
            if any(listener.project for listener in tuple(self._listeners)):
                for by_project in self._workspace.commits_by_project(self._seq):
                    messages = {project: message_of(commit) for project, commit in by_project.items()}
                    told.append((max((each.seq for each in by_project.values()), default=0), messages))
            self._seq = seq
        except RaykqiError as error:
            log.warning("what was committed could not be read: %s", error.message)
            return
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._tell, told)

    def _tell(self, told: list[tuple[int, dict[str, Message]]]) -> None:
        for listener in self._listeners:
            for seq, messages in told:
                if message := messages.get(listener.project):
                    listener.tell(seq, message)
            listener.wake()


def message_of(commit: Commit) -> Message:
    return Message.of("commit", commit, id=commit.seq)


async def follow(
    listener: Listener, earlier: AsyncIterator[tuple[int, Message]], heartbeat: float
) -> AsyncIterator[Message | None]:
    """What was committed before and what is from now on, in order, each once. None is a sign of life."""
    last = 0
    async for seq, message in earlier:
        last = seq
        yield message
    while not listener.is_late:
        if not await listener.wait(heartbeat):
            yield None
        for seq, message in listener.take():
            if seq > last:
                last = seq
                yield message
