"""Sends commands in envelopes: one request's, with the key by which it is known again and the ETag that it expects."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future

from raykqi.controller.writer import Writer
from raykqi.domain.events import Event
from raykqi.engine.commands import Command, Envelope, RecordRun

__all__ = ["Enveloping"]


class Enveloping(Writer):
    """Over another writer, for as long as one request lasts."""

    def __init__(self, writer: Writer, *, key: str, fingerprint: str, expect: str) -> None:
        self._writer = writer
        self.keeper = writer.keeper
        self._key, self._fingerprint, self._expect = key, fingerprint, expect
        self._sent: Counter[str] = Counter()

    def submit_later(self, command: Command) -> Future[list[Event]]:
        """A request may be several commands, and when it comes again fewer: each kind is counted for itself."""
        if isinstance(command, Envelope):
            return self._writer.submit_later(command)
        kind = type(command).__name__
        self._sent[kind] += 1
        key = f"{self._key} {kind} {self._sent[kind]}" if self._key else ""
        # What is not asked again by a key needs no fingerprint: it is kept, and the request may hold a password.
        fingerprint = self._fingerprint if key else ""
        if fingerprint and isinstance(command, RecordRun):  # of bytes that came as a stream the request says nothing
            fingerprint = " ".join((fingerprint, *(output.tree.hash for output in command.outputs)))
        return self._writer.submit_later(Envelope(command, key, fingerprint, self._expect))

    def ask(self, method: str, *positional: object) -> bytes:
        return self._writer.ask(method, *positional)

    def preview(self, command: Command) -> list[Event]:
        return self._writer.preview(command)

    def refresh(self) -> None:
        self._writer.refresh()

    def catch_up(self) -> None:
        self._writer.catch_up()

    def reach(self, seq: int, timeout: float) -> bool:
        return self._writer.reach(seq, timeout)

    def wait_for_change(self, generation: int) -> None:
        self._writer.wait_for_change(generation)

    def close(self) -> None:
        """Whoever opened the other writer closes it."""
