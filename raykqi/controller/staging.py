"""Keeps the replicas of endpoints as they shall be, in a thread of its own: what is away is asked again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence

from raykqi.controller.applications import Applications, Shape, State
from raykqi.errors import RaykqiError

__all__ = ["Staging"]

log = logging.getLogger(__name__)

AGAIN = 1.0  # seconds until what was away is asked again
LOOK = 3.0  # seconds between looks at how things are, as nobody tells


class Staging:
    """`told` hears, in that thread, how the applications are whenever that has changed."""

    def __init__(self, applications: Applications, told: Callable[[Mapping[str, State]], None]) -> None:
        self._applications = applications
        self._told = told
        self._wanted: tuple[Shape, ...] | None = None
        self._is_due = False
        self._is_over = False
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="raykqi-staging", daemon=True)

    def open(self) -> None:
        self._thread.start()

    def show(self, shapes: Sequence[Shape]) -> None:
        wanted = tuple(shapes)
        with self._wake:
            if wanted != self._wanted:
                self._wanted, self._is_due = wanted, True
                self._wake.notify()

    def close(self) -> None:
        with self._wake:
            self._is_over = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join()
        self._applications.close()

    def _work(self) -> None:
        before: Mapping[str, State] | None = None
        while (shapes := self._next()) is not None:
            try:
                self._applications.show(shapes)
                states = self._applications.states()
            except RaykqiError as error:
                log.info("endpoints are brought up later: %s", error.message)
                self._soon()
                continue
            except Exception:
                log.exception("endpoints could not be brought up; it is tried again")
                self._soon()
                continue
            if states != before:
                before = states
                self._told(states)

    def _next(self) -> tuple[Shape, ...] | None:
        with self._wake:
            if not self._is_due and not self._is_over:
                self._wake.wait(LOOK if self._wanted else None)
            self._is_due = False
            return None if self._is_over else self._wanted or ()

    def _soon(self) -> None:
        with self._wake:
            if not self._is_over:
                self._wake.wait(AGAIN)
            self._is_due = True
