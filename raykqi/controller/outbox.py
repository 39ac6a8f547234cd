"""Tells webhooks of events, each of them in order, at least once, however long they or we are away.

The journal is the outbox: all that is kept beside it is how far each webhook has come, in
`outbox/NAME.json`. A webhook that is new begins with what comes from then on.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import threading
import time
from collections.abc import Iterator

import msgspec

from raykqi.catalog.concerned import plans_of
from raykqi.controller.index_keeper import IndexKeeper
from raykqi.controller.lanes import backoff
from raykqi.controller.posting import THREADS, Poster
from raykqi.domain.access_events import RequestAnswered, told
from raykqi.domain.events import Event
from raykqi.domain.hooks import Hooks, Webhook
from raykqi.errors import ObjectMissing, RaykqiError
from raykqi.journal.codec import Entry
from raykqi.journal.log import Journal
from raykqi.storage.filesystem import Store

__all__ = ["Outbox", "position_key", "signature"]

log = logging.getLogger(__name__)

FIRST, LONGEST = 1.0, 300.0  # seconds until a webhook is tried again
KEPT_EVERY = 500  # entries without anything for the webhook
LEAVE = 3.0  # seconds for what is still to be told at the end


class Position(msgspec.Struct, frozen=True):
    """The next event: its entry, and its place in it from 0."""

    seq: int
    index: int


class Outbox:
    def __init__(self, hooks: Hooks, store: Store, keeper: IndexKeeper) -> None:
        self._poster = Poster(hooks.timeout)
        self._deliveries = [_Delivery(webhook, store, keeper, self._poster) for webhook in hooks.webhooks]
        for delivery in self._deliveries:
            delivery.open()

    def wake(self) -> None:
        """There may be new events."""
        for delivery in self._deliveries:
            delivery.wake()

    def close(self) -> None:
        """Tell what can be told at once; the rest waits for the next time."""
        deadline = time.monotonic() + LEAVE
        for delivery in self._deliveries:
            delivery.leave()
        for delivery in self._deliveries:
            delivery.close(max(0.0, deadline - time.monotonic()))
        self._poster.close()


class _Delivery:
    """What one webhook gets, by a thread of its own: others need not wait for it."""

    def __init__(self, webhook: Webhook, store: Store, keeper: IndexKeeper, poster: Poster) -> None:
        self._webhook = webhook
        self._store = store
        self._keeper = keeper
        self._journal = Journal(store)
        self._poster = poster
        self._changed = threading.Condition()
        self._is_due = True
        self._is_leaving = False  # what cannot be told at once is left
        self._is_closed = False
        self._failures = 0
        self._thread = threading.Thread(target=self._work, name=f"{THREADS}-{webhook.name}", daemon=True)

    def open(self) -> None:
        self._position = self._begin()
        self._thread.start()

    def wake(self) -> None:
        with self._changed:
            self._is_due = True
            self._changed.notify_all()

    def leave(self) -> None:
        with self._changed:
            self._is_leaving = self._is_due = True
            self._changed.notify_all()

    def close(self, timeout: float) -> None:
        self._thread.join(timeout)
        with self._changed:
            self._is_closed = True

    def _begin(self) -> Position:
        key = position_key(self._webhook.name)
        try:
            return msgspec.json.decode(self._store.get(key), type=Position)
        except ObjectMissing:
            log.info("webhook %s is new: it is told of what happens from now on", self._webhook.name)
        except ValueError:
            log.warning("%s is damaged: webhook %s is told of what happens from now on", key, self._webhook.name)
        position = Position(self._keeper.position.seq + 1, 0)
        self._keep(position)
        return position

    def _work(self) -> None:
        while not self._is_closed:
            try:
                is_held = not self._deliver()
            except (RaykqiError, OSError) as error:
                if self._is_closed:
                    return
                log.warning("webhook %s waits: %s", self._webhook.name, error)
                is_held = True
            except Exception:
                if self._is_closed:
                    return
                log.exception("webhook %s waits", self._webhook.name)
                is_held = True
            if is_held:
                pause = backoff(self._failures, FIRST, LONGEST)
                self._failures += 1
                if not self._wait(pause):
                    return
            else:
                self._failures = 0
                if not self._rest():
                    return

    def _rest(self) -> bool:
        """Until there may be something new."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_due or self._is_leaving)
            if self._is_due:
                self._is_due = False
                return True
            return False

    def _wait(self, pause: float) -> bool:
        with self._changed:
            return not self._changed.wait_for(lambda: self._is_leaving, pause)

    def _deliver(self) -> bool:
        """Everything there is; False when the webhook did not take it."""
        skipped = 0
        for entry in self._new():
            for index in range(self._position.index if entry.seq == self._position.seq else 0, len(entry.events)):
                if self._concerns(entry.events[index]):
                    if not self._post(entry, index):
                        return False
                    self._failures = 0
                    self._position = Position(entry.seq, index + 1)
                    self._keep(self._position)
                    skipped = 0
            self._position = Position(entry.seq + 1, 0)
            skipped += 1
            if skipped % KEPT_EVERY == 0:
                self._keep(self._position)
        if skipped >= KEPT_EVERY:
            self._keep(self._position)
        return True

    def _new(self) -> Iterator[Entry]:
        """The entries that this process has applied, from the next one on."""
        last = self._keeper.position.seq
        if self._position.seq > last:
            return
        for entry in self._journal.read(self._position.seq - 1):
            if entry.seq > last or self._is_closed:
                return
            yield entry

    def _concerns(self, event: Event) -> bool:
        if isinstance(event, RequestAnswered) or not self._webhook.wants(_action(event)):
            return False
        if not self._webhook.plans:
            return True
        return not set(self._webhook.plans).isdisjoint(plans_of(self._keeper.index, event))

    def _post(self, entry: Entry, index: int) -> bool:
        event = entry.events[index]
        id_ = f"{entry.seq}-{index}"
        body = msgspec.json.encode(
            {
                "id": id_,
                "action": _action(event),
                "at": getattr(event, "at", entry.time),
                "workspace": self._store.url,
                "event": told(event),
            }
        )
        moment = str(int(time.time()))
        headers = {
            "X-Raykqi-Delivery": id_,
            "X-Raykqi-Timestamp": moment,
            "X-Raykqi-Signature": signature(self._webhook.secret, moment, body),
        }
        answer = self._poster.post(self._webhook.url, body, headers)
        if not answer.is_good:
            log.log(
                logging.DEBUG if self._failures else logging.WARNING,
                "webhook %s %s; event %s and later ones wait for it",
                self._webhook.name,
                answer.kind,
                id_,
            )
        return answer.is_good

    def _keep(self, position: Position) -> None:
        self._store.put(position_key(self._webhook.name), msgspec.json.encode(position))


def position_key(webhook: str) -> str:
    return f"outbox/{webhook}.json"


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What a receiver computes as well, to know that it was us who said this, and when."""
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={digest.hexdigest()}"


def _action(event: Event) -> str:
    return str(event.__struct_config__.tag)
