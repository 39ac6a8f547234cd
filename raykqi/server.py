"""What runs plans: the dispatcher of one workspace with the nodes it uses, awake to what other processes commit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from raykqi.controller.controller import Controller
from raykqi.controller.dispatcher import Dispatcher
from raykqi.controller.nodes import Nodes
from raykqi.controller.run_tokens import RunTokens
from raykqi.controller.writer import Writer
from raykqi.domain.events import Event
from raykqi.domain.ids import SystemClock
from raykqi.domain.resources import Resources
from raykqi.errors import Conflict, RaykqiError, WorkspaceOwned
from raykqi.journal.ownership import Ownership
from raykqi.journal.owning import open_dispatching
from raykqi.opening import Parts
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store
from raykqi.storage.watching import Watch

if TYPE_CHECKING:
    from raykqi.controller.outbox import Outbox
    from raykqi.controller.rollouts import Rollouts
    from raykqi.domain.hooks import Hooks

__all__ = ["Server", "committing", "take_right"]


class Server:
    """Serves from the moment it is made until it is closed. One process at a time does so for a workspace.

    At `api_url` nodes reach the HTTP API of the workspace; commands get it with a token. Endpoints come up
    by `rollouts`; without them they wait.
    """

    def __init__(
        self,
        parts: Parts,
        settings: Settings,
        nodes: Nodes,
        *,
        limit: Resources | None = None,
        hooks: Hooks | None = None,
        api_url: str = "",
        rollouts: Rollouts | None = None,
    ) -> None:
        self._controller = committing(parts.controller)
        self._keeper = parts.keeper
        self._seen = parts.keeper.others
        self._lock = threading.Lock()
        self._outbox: Outbox | None = None
        self._rollouts = rollouts
        self._leave_running = False
        with ExitStack() as undo:
            undo.callback(take_right(parts.store, settings, settings.lock_timeout).close)
            clock = SystemClock()
            tokens = RunTokens(parts.store, api_url, clock) if api_url else None
            self._dispatcher = Dispatcher(
                self._controller, nodes, parts.store, clock=clock, limit=limit, hooks=hooks, tokens=tokens
            )
            self._controller.takes_turns = True
            self._controller.refresh()
            if hooks and hooks.webhooks:
                from raykqi.controller.outbox import Outbox

                self._outbox = Outbox(hooks, parts.store, parts.keeper)
                undo.callback(self._outbox.close)
            self._dispatcher.open()
            undo.callback(lambda: self._dispatcher.close(leave_running=self._leave_running))
            if self._rollouts:
                self._rollouts.open()
                undo.callback(self._rollouts.close)
            self._controller.on_commit = self._heard
            undo.callback(Watch(parts.store, "journal", self._look).close)
            self._undo = undo.pop_all()

    @property
    def running(self) -> int:
        """How many attempts are under way."""
        return self._dispatcher.running

    def drain(
        self, timeout: float | None = None, *, tick: Callable[[], None] | None = None, every: float = 0.5
    ) -> bool:
        """Until nothing runs and nothing can start; `tick` is called now and then meanwhile."""
        left = timeout
        while True:
            step = every if left is None else min(every, left)
            if self._dispatcher.wait_until_idle(step if tick or left is not None else None):
                return True
            if tick:
                tick()
            if left is not None and (left := left - step) <= 0:
                return False

    def close(self, *, leave_running: bool = False) -> None:
        """Runs that go on are ended and wait again, unless they are left to a later server."""
        self._leave_running = leave_running
        self._undo.close()

    def _look(self) -> None:
        """Another process may have committed: its runs wait here."""
        try:
            with self._lock:
                self._controller.refresh()
                if self._keeper.others == self._seen:
                    return
                self._seen = self._keeper.others
        except RaykqiError:
            return  # the storage is away; the next look tells
        self._dispatcher.look_around()
        if self._outbox:
            self._outbox.wake()
        if self._rollouts:
            self._rollouts.look_around()

    def _heard(self, events: Sequence[Event]) -> None:
        self._dispatcher.heard(events)
        if self._outbox:
            self._outbox.wake()
        if self._rollouts:
            self._rollouts.heard(events)


def committing(controller: Writer) -> Controller:
    if not isinstance(controller, Controller):
        raise Conflict(
            "this workspace only follows a controller, which runs its plans", hint="Open the workspace itself."
        )
    return controller


def take_right(store: Store, settings: Settings, timeout: float) -> Ownership:
    """The right to run the plans of a workspace, until it is closed."""
    right = open_dispatching(store, user=settings.user)
    try:
        right.acquire(timeout)
    except WorkspaceOwned as error:
        right.close()
        raise WorkspaceOwned(
            f"the plans of {store.url} are being run already: {error.message}",
            hint="One `raykqi up` or `raykqi work` at a time does that; push data, it will be run there.",
        ) from error
    except RaykqiError:
        right.close()
        raise
    return right
