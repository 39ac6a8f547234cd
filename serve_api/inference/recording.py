"""Stores files and has the controller record them, once: for jobs, their results, and samples of requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from raykqi.controller.parcels import pack, unpack_answers
from raykqi.domain.events import Event
from raykqi.domain.ids import IdMaker, SystemClock
from raykqi.engine.commands import Envelope, PlainCommand
from raykqi.errors import Damaged, RaykqiError, ServerError, StorageError, UploadStale
from raykqi.storage.filesystem import Store
from raykqi.storage.outcome import Pushed
from raykqi.storage.push import push_bytes
from serve_api.inference.seams import Controller

__all__ = ["Recorder"]

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
Making = Callable[[Pushed, int], PlainCommand]  # of what was stored, since which collection


class Recorder:
    def __init__(self, store: Store, controller: Controller) -> None:
        self._store = store
        self._controller = controller
        self._ids = IdMaker(SystemClock())

    async def record(
        self, files: Mapping[str, bytes], making: Making, *, patience: float, key: str = "", fingerprint: str = ""
    ) -> list[Event]:
        """What it became; tried again for `patience` seconds while storage or controller is away."""
        end, pause = time.monotonic() + patience, FIRST_PAUSE
        own_key = key or self._ids.new()
        while True:
            try:
                generation = await self._controller.generation()
                pushed = await asyncio.to_thread(push_bytes, self._store, files)
                return await self._commit(Envelope(making(pushed, generation), own_key, fingerprint))
            except (UploadStale, ServerError, StorageError) as error:
                if time.monotonic() + pause >= end:
                    raise
                if isinstance(error, UploadStale):
                    own_key = key or self._ids.new()  # it was answered: what comes now is another
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)

    async def tell(self, command: PlainCommand, *, patience: float) -> list[Event]:
        """The same of what needs no files."""
        end, pause, key = time.monotonic() + patience, FIRST_PAUSE, self._ids.new()
        while True:
            try:
                return await self._commit(Envelope(command, key))
            except ServerError:
                if time.monotonic() + pause >= end:
                    raise
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)

    async def _commit(self, command: Envelope) -> list[Event]:
        answers = unpack_answers(await self._controller.commit(pack([command])))
        if len(answers.each) != 1:
            raise Damaged("the controller answered another number of commands than it was sent")
        answer = answers.each[0]
        if error := answer.error:
            raise error
        return answer.events


def why(error: BaseException) -> str:
    return error.message if isinstance(error, RaykqiError) else f"{type(error).__name__}: {error}"
