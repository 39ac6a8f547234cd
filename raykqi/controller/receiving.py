"""The controller's end of the way from its followers: many commands at a time, each answered for itself."""

from __future__ import annotations

from concurrent.futures import Future

from raykqi.controller.parcels import Answer, Answers, pack_answers, unpack
from raykqi.controller.writer import Writer
from raykqi.domain.events import Event
from raykqi.domain.failure import failure_of
from raykqi.engine.commands import Command
from raykqi.errors import RaykqiError, ServerUnavailable

__all__ = ["Receiver"]


class Receiver:
    """Safe to call from many threads: what arrives together shares entries."""

    def __init__(self, controller: Writer) -> None:
        self._controller = controller
        self._is_closed = False

    def commit(self, commands: bytes) -> bytes:
        """Carry them out; their answers."""
        try:
            taken = [self._submit(command) for command in unpack(commands)]
        except RaykqiError as error:
            return pack_answers(Answers(0, failure=failure_of(error)))
        each = [_answer(future) for future in taken]
        return pack_answers(Answers(self._controller.keeper.position.seq, each))

    def close(self) -> None:
        """From now on commands are told to come again later, to whoever serves then."""
        self._is_closed = True

    def _submit(self, command: Command) -> Future[list[Event]]:
        if self._is_closed:
            raise ServerUnavailable("the controller is being closed", hint="Try again in a moment.")
        return self._controller.submit_later(command)


def _answer(future: Future[list[Event]]) -> Answer:
    error = future.exception()
    return Answer(failure=failure_of(error)) if error else Answer(future.result())
