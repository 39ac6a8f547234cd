"""Ends a process that has nothing to do but to run plans, when it no longer does.

Ray makes an actor anew when its process has gone, and does not know what goes on inside of it.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

__all__ = ["Vigil"]

log = logging.getLogger(__name__)

EACH = 5.0  # seconds between two looks
CLOSING = 30.0  # seconds that closing may take


class Vigil:
    """`check` raises what made it fail; `close` lets go of what others wait for."""

    def __init__(self, check: Callable[[], object], close: Callable[[], None], *, each: float = EACH) -> None:
        self._check, self._let_go, self._each = check, close, each
        self._is_over = threading.Event()
        threading.Thread(target=self._keep, name="raykqi-vigil", daemon=True).start()

    def close(self) -> None:
        """Look no more."""
        self._is_over.set()

    def _keep(self) -> None:
        while not self._is_over.wait(self._each):
            try:
                self._check()
            except BaseException:
                if not self._is_over.is_set():
                    self._end()

    def _end(self) -> None:
        log.exception("plans are no longer run: this process ends, so that another begins anew")
        late = threading.Timer(CLOSING, os._exit, [1])
        late.daemon = True
        late.start()
        try:
            self._let_go()
        finally:
            os._exit(1)
