"""Ownership where storage overwrites silently: a lease object, kept alive by a heartbeat.

Clocks of different machines are never compared. A lease is alive while its text keeps changing, as
seen by whoever watches it; its owner counts it as lost, by its own clock, before a watcher can.

Taking it: read that it is free, write, wait, read back. Whoever read 'free' before our write has
written by the time the wait ends, or knows that it was too slow and watches for a whole term first;
so the one who still finds its own text is alone. Each try has a new nonce, because a request that
was given up may still arrive.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from raykqi.errors import Fenced, ObjectMissing, StorageError
from raykqi.journal.ownership import Owner, Ownership, refusal
from raykqi.journal.processes import boot_seconds, is_dead
from raykqi.storage.filesystem import Store

__all__ = ["KEY", "Lease"]

logger = logging.getLogger(__name__)

KEY = "lease.json"
MARGIN = 0.25  # of the term: so much earlier than others may begin, the owner stops
LOOKS = 10  # at another's lease during one term, at least
LONGEST_PAUSE = 0.5  # between two looks


class _Text(msgspec.Struct, frozen=True):
    nonce: str
    counter: int
    owner: Owner


class _Watch:
    """How long a text has not changed, by our own clock."""

    def __init__(self) -> None:
        self._text: bytes | None = None
        self._since = 0.0
        self.has_moved = False

    def seconds(self, text: bytes) -> float:
        if text != self._text:
            self.has_moved = self._text is not None
            self._text, self._since = text, boot_seconds()
        return boot_seconds() - self._since


class Lease(Ownership):
    """Kept from the first batch until it is released, since taking it takes `settle` seconds."""

    def __init__(self, owner: Owner, store: Store, *, ttl: float = 15.0, settle: float = 1.0) -> None:
        super().__init__(owner)
        self._store = store
        self._ttl, self._settle = ttl, settle
        self._nonce = ""
        self._valid_until = float("-inf")
        self._ended = threading.Event()
        self._heartbeat: threading.Thread | None = None
        logger.warning(
            "%s overwrites objects silently: only a lease keeps two writers apart there. "
            "Storage that honours If-None-Match is safer.",
            store.url,
        )

    @property
    def is_held(self) -> bool:
        return boot_seconds() < self._valid_until

    def acquire(self, timeout: float) -> None:
        if self.is_held:
            return
        self._stop_heartbeat()
        give_up, watch = boot_seconds() + timeout, _Watch()
        while True:
            began = boot_seconds()
            text = self._read()
            if self._is_free(text, watch):
                if self._take(began):
                    return
                text = self._read()
            holder = _parse(text)
            server_lives = watch.has_moved and holder is not None and holder.owner.kind == "server"
            if server_lives or boot_seconds() >= give_up:
                raise refusal(self._store.url, holder.owner if holder else None)
            self._ended.wait(min(self._ttl / LOOKS, LONGEST_PAUSE))

    def release(self) -> None:
        stopped = self._stop_heartbeat()
        if self.is_held and stopped:
            text = _parse(self._read())
            # After the read it must still be ours, or the delete could hit the next owner's.
            if text and text.nonce == self._nonce and self.is_held:
                self._store.delete([KEY])
        self._valid_until = float("-inf")

    def check(self) -> None:
        if not self.is_held:
            raise Fenced(
                f"the lease of this controller on {self._store.url} ran out or was lost",
                hint="Open the workspace again; its storage did not answer in time, or another controller took over.",
            )

    def close(self) -> None:
        with contextlib.suppress(StorageError):  # then the lease runs out by itself
            self.release()

    @contextmanager
    def held(self, timeout: float) -> Iterator[None]:
        self.acquire(timeout)
        yield

    def _is_free(self, text: bytes | None, watch: _Watch) -> bool:
        if text is None:
            return True
        holder = _parse(text)
        return bool(holder and is_dead(holder.owner.process)) or watch.seconds(text) >= self._ttl

    def _take(self, began: float) -> bool:
        self._nonce = secrets.token_hex(8)
        writing = boot_seconds()
        self._write(0)
        if boot_seconds() - began > self._settle / 2:
            return False  # another may have settled meanwhile: our own text has to be watched like a stranger's
        self._ended.wait(self._settle)
        text = _parse(self._read())
        if text is None or text.nonce != self._nonce:
            return False
        self._valid_until = self._end_of_term(writing)
        self._heartbeat = threading.Thread(target=self._beat, name="raykqi-lease", daemon=True)
        self._heartbeat.start()
        return self.is_held

    def _beat(self) -> None:
        counter = 0
        while not self._ended.wait(self._ttl / 3) and self.is_held:
            counter += 1
            try:
                if not self._renew(counter):
                    return
            except StorageError as e:
                logger.warning("could not renew the lease on %s: %s", self._store.url, e)

    def _renew(self, counter: int) -> bool:
        text = _parse(self._read())
        writing = boot_seconds()
        if text and text.nonce == self._nonce and self.is_held:
            self._write(counter)
            if self.is_held:
                self._valid_until = self._end_of_term(writing)
                return True
        self._valid_until = float("-inf")
        return False

    def _stop_heartbeat(self) -> bool:
        """Whether it ended; it may hang in a request to storage that is away."""
        thread, self._heartbeat = self._heartbeat, None
        if thread is None:
            return True
        self._ended.set()
        thread.join(self._settle)
        self._ended = threading.Event()
        return not thread.is_alive()

    def _end_of_term(self, writing: float) -> float:
        return writing + self._ttl * (1 - MARGIN)

    def _read(self) -> bytes | None:
        try:
            return self._store.get(KEY)
        except ObjectMissing:
            return None

    def _write(self, counter: int) -> None:
        self._store.put(KEY, msgspec.json.encode(_Text(self._nonce, counter, self.owner)))


def _parse(text: bytes | None) -> _Text | None:
    try:
        return None if text is None else msgspec.json.decode(text, type=_Text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
