"""Results that cannot be taken as they come: a collection went on, or nobody was there to take them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec

from raykqi.catalog.facts import is_collecting
from raykqi.catalog.queue import under_way
from raykqi.controller.controller import Controller
from raykqi.domain.order import Attempt, Ended, Lost
from raykqi.errors import ObjectMissing, RaykqiError
from raykqi.storage.filesystem import Store
from raykqi.storage.receipts import delete_receipt, read_receipt, receipt_key

__all__ = ["Settling"]

log = logging.getLogger(__name__)

AGAIN = 5.0  # seconds until a result that could not be looked after is looked at again


class Settling:
    """Looks after them in a thread of its own, since a collection may take its time."""

    def __init__(
        self,
        controller: Controller,
        store: Store,
        take_up: Callable[[Ended], None],
        store_again: Callable[[Attempt], None],
    ) -> None:
        self._controller = controller
        self._store = store
        self._take_up = take_up
        self._store_again = store_again
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="raykqi-settling")
        self._waiting = 0
        self._closed = threading.Event()

    @property
    def is_busy(self) -> bool:
        return self._waiting > 0

    def later(self, ended: Ended) -> None:
        """Offer the result again when what it relies on is known to be there."""
        self._waiting += 1
        self._pool.submit(self._look_after, ended)

    def what_became_of(self, attempt: Attempt) -> Ended | Lost:
        """Of a run that is on no node any more: its receipt, if it came so far."""
        receipt = read_receipt(self._store, attempt)
        return receipt or Lost(attempt, "what carried it out has gone, with all that ran there", blameless=True)

    def clear(self, attempt: Attempt) -> None:
        """The receipt has served."""
        self._pool.submit(self._delete, attempt)

    def sweep(self) -> None:
        """Clear the receipts of attempts that are over: nodes that were cut off write some when they come back."""
        self._pool.submit(self._sweep)

    def _sweep(self) -> None:
        try:  # listed before it is asked what goes on: of what begins meanwhile there is nothing in the list
            left = {found.key for found in self._store.list("receipts/")}
            left -= {receipt_key(run.attempt) for run in under_way(self._controller.keeper.index)}
            self._store.delete(sorted(left))
        except RaykqiError as error:
            log.info("receipts that nobody needs stay: %s", error.message)

    def _delete(self, attempt: Attempt) -> None:
        try:
            delete_receipt(self._store, attempt)
        except RaykqiError as error:
            log.info("a receipt stays: %s", error.message)

    def close(self) -> None:
        self._closed.set()
        self._pool.shutdown()

    def _look_after(self, ended: Ended) -> None:
        try:
            keeper = self._controller.keeper
            generation = keeper.position.generation
            while is_collecting(keeper.index):
                self._controller.wait_for_change(generation)
                generation = keeper.position.generation
            if self._is_whole(ended):
                self._take_up(msgspec.structs.replace(ended, generation=generation))
            else:
                self._store_again(ended.attempt)
        except Exception as error:
            log.warning("the result of attempt %s of run %s waits: %s", ended.attempt.number, ended.attempt.run, error)
            self._closed.wait(AGAIN)
            self._take_up(ended)
        finally:
            self._waiting -= 1

    def _is_whole(self, ended: Ended) -> bool:
        from raykqi.storage.presence import missing_objects
        from raykqi.storage.trees import read_tree, tree_key

        needed: set[str] = set(ended.reused)
        try:
            for stored in ended.stored:
                if stored.tree.hash:
                    needed |= {tree_key(stored.tree.hash), *read_tree(self._store, stored.tree.hash).objects()}
        except ObjectMissing:
            return False
        return not missing_objects(self._store, needed)
