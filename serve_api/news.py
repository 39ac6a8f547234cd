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
from typing import NamedTuple

from raykqi.domain.commit import Commit
from raykqi.workspace import Workspace
from serve_api.sse import Message

__all__ = ["Listener", "News", "follow", "message_of"]

log = logging.getLogger("raykqi.api")
MOST_WAITING = 1_024  # messages that a slow listener may be behind
MOST_BYTES = 8 * 1024 * 1024


class Listener:
    """Hears of all commits of `project`, or is told when one of them concerns `run`."""

    def __init__(self, *, project: str = "", run: str = "") -> None:
        self.project = project
        self.run = run
        self.is_late = False
        self.is_touched = False  # something was committed about its run
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._bytes = 0
        self._woken = asyncio.Event()

    def tell(self, number: int, message: bytes) -> None:
        self._waiting.append((number, message))
        self._bytes += len(message)
        if len(self._waiting) > MOST_WAITING or self._bytes > MOST_BYTES:
            self.end()
        self._woken.set()

    def touch(self) -> None:
        self.is_touched = True
        self._woken.set()

    def end(self) -> None:
        self.is_late = True
        self._waiting.clear()
        self._bytes = 0
        self._woken.set()

    async def wait(self, seconds: float) -> bool:
        """Until there is something; False when the time is over before."""
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return False
        self._woken.clear()
        return True

    def take(self) -> Iterator[tuple[int, bytes]]:
        while self._waiting:
            number, message = self._waiting.popleft()
            self._bytes -= len(message)
            yield number, message


class _Told(NamedTuple):
    seq: int
    messages: dict[str, Message]
    runs: set[str]


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

    def end(self) -> None:
        """Let all listeners go: the server ends."""
        for listener in self._listeners:
            listener.end()

    def close(self) -> None:
        self._undo.close()

    @contextmanager
    def listening(self, listener: Listener) -> Iterator[Listener]:
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
            told = list(self._read()) if self._listeners else []
            self._seq = seq
        except Exception as error:  # the watch goes on, and what was not told is told next time
            log.warning("what was committed could not be read: %s", error)
            return
        if told:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._tell, told)

    def _read(self) -> Iterator[_Told]:
        for by_project in self._workspace.commits_by_project(self._seq):
            if by_project:
                commits = by_project.values()
                messages = {project: message_of(commit) for project, commit in by_project.items()}
                yield _Told(max(each.seq for each in commits), messages, set().union(*map(_runs, commits)))

    def _tell(self, told: list[_Told]) -> None:
        for listener in tuple(self._listeners):
            for seq, messages, runs in told:
                if listener.run:
                    if listener.run in runs:
                        listener.touch()
                elif message := messages.get(listener.project):
                    listener.tell(seq, message)


def message_of(commit: Commit) -> Message:
    return Message.of("commit", commit, id=commit.seq)


async def follow(
    listener: Listener, earlier: AsyncIterator[tuple[int, bytes]], heartbeat: float, *, after: int = 0
) -> AsyncIterator[bytes | None]:
    """What was committed since entry `after` and what is from now on, in order, each once. None: a sign of life."""
    last = after
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


def _runs(commit: Commit) -> set[str]:
    """Those that the events are about."""
    found: set[str] = set()
    for event in commit.events:
        run = getattr(event, "run", None)
        if isinstance(run, str):
            found.add(run)
        found.update(each.run for each in getattr(event, "runs", ()))
    return found
