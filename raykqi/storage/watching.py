"""To be woken when another process writes below a folder of the store."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from raykqi.storage.filesystem import Store

__all__ = ["Watch"]

STEP_MS = 10
# A look without being told: network file systems do not tell of other machines.
LOOK_MS = 1_000
POLL = 1.0  # where storage tells nobody of changes: object storage has no notifications of its own


class Watch:
    """Calls `changed`, from a thread of its own, soon after something below `folder` may have changed."""

    def __init__(self, store: Store, folder: str, changed: Callable[[], None], *, poll: float = POLL) -> None:
        self._changed = changed
        self._pause = poll
        self._ended = threading.Event()
        local = store.local_path(f"{folder}/x")
        watch = self._poll if local is None else self._listen
        self._thread = threading.Thread(
            target=watch, args=(local.parent if local else None,), name=f"watch {folder}", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        self._thread.join()

    def _listen(self, folder: Path) -> None:
        # watchfiles documents this class for whoever has to know when listening has begun.
        from watchfiles._rust_notify import RustNotify

        folder.mkdir(parents=True, exist_ok=True)
        with RustNotify([str(folder)], False, False, 0, False, True) as notify:
            while not self._ended.is_set():
                self._changed()  # first of all for what was written before
                notify.watch(STEP_MS, STEP_MS, LOOK_MS, self._ended)

    def _poll(self, _: None) -> None:
        while not self._ended.wait(self._pause):
            self._changed()
