"""Ownership where storage overwrites silently: a lease object, kept alive by a heartbeat.

Clocks of different machines are never compared. A lease is alive while its text keeps changing, as
seen by whoever watches it; its owner counts it as lost, by its own clock, before a watcher can.

Taking it: read that it is free, write, wait, read back. Whoever read 'free' before our write has
written by the time the wait ends, or knows that it was too slow and watches for a whole term first;
so the one who still finds its own text is alone. Each try has a new nonce, because a request that
was given up may still arrive.

That takes a while, so a lease outlives its batch; but a program that has nothing more to write gives
it back by itself, or an idle notebook would shut everybody else out.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import time
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

_WARNED: set[str] = set()  # the places of which this process has told that they overwrite


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
    """Kept until it is released; an embedded one that a batch took, until there was none for `idle` seconds."""

    def __init__(
        self,
        owner: Owner,
        store: Store,
        *,
        key: str = KEY,
        ttl: float = 15.0,
        settle: float = 1.0,
        idle: float = 2.0,
    ) -> None:
        super().__init__(owner)
        self._store = store
        self._key = key
        self._ttl, self._settle, self._idle = ttl, settle, idle
        self._nonce = ""
        self._valid_until = float("-inf")
        self._heartbeat: threading.Thread | None = None
        self._ended = threading.Event()  # of the heartbeat
        self._in_use = threading.RLock()  # by a batch, or by who gives the lease back; renewals do not need it
        self._is_kept = owner.kind == "server"
        self._last_use = float("-inf")

    @property
    def is_held(self) -> bool:
        return boot_seconds() < self._valid_until

    def acquire(self, timeout: float) -> None:
        with self._in_use:
            self._obtain(timeout)
            self._is_kept = True

    def release(self) -> None:
        with self._in_use:
            stopped = self._stop_heartbeat()
            self._is_kept = self.owner.kind == "server"
            try:
                if self.is_held and stopped:
                    self._give_back()
            finally:
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
        with self._in_use:
            self._obtain(timeout)
            try:
                yield
            finally:
                self._last_use = boot_seconds()

    def _obtain(self, timeout: float) -> None:
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
            time.sleep(min(self._ttl / LOOKS, LONGEST_PAUSE))

    def _give_back(self) -> None:
        text = _parse(self._read())
        # With so much of the term left the request arrives before another's lease can stand there.
        in_time = self._valid_until - boot_seconds() > self._ttl * MARGIN
        self._valid_until = float("-inf")
        if text and text.nonce == self._nonce and in_time:
            self._store.delete([self._key])

    def _is_free(self, text: bytes | None, watch: _Watch) -> bool:
        if text is None:
            return True
        holder = _parse(text)
        return bool(holder and is_dead(holder.owner.process)) or watch.seconds(text) >= self._ttl

    def _take(self, began: float) -> bool:
        self._nonce = nonce = secrets.token_hex(8)
        writing = boot_seconds()
        self._write(nonce, 0)
        if boot_seconds() - began > self._settle / 2:
            return False  # another may have settled meanwhile: our own text has to be watched like a stranger's
        time.sleep(self._settle)
        text = _parse(self._read())
        if text is None or text.nonce != nonce:
            return False
        self._valid_until = self._end_of_term(writing)
        _warn_once(self._store.url)
        self._ended = threading.Event()
        self._heartbeat = threading.Thread(
            target=self._beat, args=(nonce, self._ended), name="raykqi-lease", daemon=True
        )
        self._heartbeat.start()
        return self.is_held

    def _beat(self, nonce: str, ended: threading.Event) -> None:
        counter, renew_at = 0, boot_seconds() + self._ttl / 3
        while not ended.wait(self._pause(renew_at)) and self._holds(nonce):
            if self._gave_back_when_idle(ended):
                return
            if boot_seconds() < renew_at:
                continue
            counter, renew_at = counter + 1, boot_seconds() + self._ttl / 3
            try:
                if not self._renew(nonce, counter):
                    return
            except StorageError as e:
                logger.warning("could not renew the lease on %s: %s", self._store.url, e)

    def _pause(self, renew_at: float) -> float:
        now = boot_seconds()
        until_idle = self._last_use + self._idle - now
        # An old last use is that of a batch which still goes on, or of none yet.
        until_idle = until_idle if until_idle > 0 else self._idle
        return max(0.0, renew_at - now if self._is_kept else min(renew_at - now, until_idle))

    def _gave_back_when_idle(self, ended: threading.Event) -> bool:
        if not self._in_use.acquire(blocking=False):
            return False
        try:
            if ended.is_set() or self._is_kept or boot_seconds() - self._last_use < self._idle:
                return False
            with contextlib.suppress(StorageError):  # then the lease runs out by itself
                self._give_back()
            self._valid_until = float("-inf")
            return True
        finally:
            self._in_use.release()

    def _renew(self, nonce: str, counter: int) -> bool:
        text = _parse(self._read())
        writing = boot_seconds()
        if text and text.nonce == nonce and self._holds(nonce):
            self._write(nonce, counter)
            if self._holds(nonce):
                self._valid_until = self._end_of_term(writing)
                return True
        if self._nonce == nonce:
            self._valid_until = float("-inf")
        return False

    def _holds(self, nonce: str) -> bool:
        return self._nonce == nonce and self.is_held

    def _stop_heartbeat(self) -> bool:
        """Whether it ended; it may hang in a request to storage that is away."""
        thread, self._heartbeat = self._heartbeat, None
        if thread is None:
            return True
        self._ended.set()
        thread.join(self._settle)
        return not thread.is_alive()

    def _end_of_term(self, writing: float) -> float:
        return writing + self._ttl * (1 - MARGIN)

    def _read(self) -> bytes | None:
        try:
            return self._store.get(self._key)
        except ObjectMissing:
            return None

    def _write(self, nonce: str, counter: int) -> None:
        self._store.put(self._key, msgspec.json.encode(_Text(nonce, counter, self.owner)))


def _parse(text: bytes | None) -> _Text | None:
    try:
        return None if text is None else msgspec.json.decode(text, type=_Text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def _warn_once(url: str) -> None:
    if url not in _WARNED:
        _WARNED.add(url)
        logger.warning(
            "%s overwrites objects silently: only a lease keeps two writers apart there. "
            "Storage that honours If-None-Match is safer.",
            url,
        )
