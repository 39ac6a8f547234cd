"""What all requests of one server share: the workspace, threads, who is known, what is remembered, what is counted."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from raykqi.domain.access import DEFAULT_PROJECT, Caller
from raykqi.workspace import Workspace
from serve_api.answering import Remembered
from serve_api.bytes.carrier import Carrier
from serve_api.callers import Callers
from serve_api.feeds import Feeds
from serve_api.measuring import Measures
from serve_api.news import News
from serve_api.options import ApiOptions
from serve_api.sign_in_limits import SignInLimits

if TYPE_CHECKING:
    from serve_api.oidc import OidcSignIn

__all__ = ["Api"]

MOST_ACTING = 512
STRANGERS = 4  # threads
READY_FOR = 1.0  # seconds


class Api:
    """Made with the application, `open` and `close` when it begins and ends to serve."""

    def __init__(self, workspace: Workspace, options: ApiOptions) -> None:
        self.workspace = workspace
        self.options = options
        self.callers = Callers(workspace)
        self.sign_ins = SignInLimits()
        self.oidc = _oidc(self.options)
        self.answers = Remembered()
        self.carrier = Carrier(workspace.staging_folder, options.uploads, url_seconds=options.url_seconds)
        self.measures = Measures(workspace, self.carrier.traffic)
        self.readers = ThreadPoolExecutor(options.readers, "raykqi-read")
        self.writers = ThreadPoolExecutor(options.writers, "raykqi-write")
        # Passwords are costly to check, and providers of identities slow: whoever is not known keeps up nobody else.
        self.strangers = ThreadPoolExecutor(STRANGERS, "raykqi-stranger")
        self._ready_until = 0.0
        self.news = News(workspace)
        self.feeds = Feeds(workspace)
        self._projects, self._projects_at = {DEFAULT_PROJECT}, -1
        self._acting: OrderedDict[tuple[str, str, frozenset[str] | None], Workspace] = OrderedDict()

    def open(self) -> None:
        self.news.open()
        self.carrier.open()

    async def close(self) -> None:
        self.news.end()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self.news.close()
        self.carrier.close()
        self.readers.shutdown()
        self.writers.shutdown()
        self.strangers.shutdown()

    def check_ready(self) -> None:
        """Raises what keeps it from answering; that nothing does is remembered for a moment."""
        now = time.monotonic()
        if now >= self._ready_until:
            self.workspace.check_ready()
            self._ready_until = now + READY_FOR

    async def caller(self, token: str) -> Caller:
        """Raises `Unauthenticated` when the token stands for nobody (any more)."""
        if known := self.callers.remembered(token):
            return known
        loop = asyncio.get_running_loop()
        deeds, caller = await loop.run_in_executor(self.readers, self.callers.look_up, token)
        self.callers.remember(token, deeds, caller)
        return caller

    async def has_project(self, name: str) -> bool:
        deeds = self.workspace.deeds
        if deeds != self._projects_at:
            self._projects, self._projects_at = {DEFAULT_PROJECT}, deeds
        known = self._projects
        if name in known:
            return True
        if not await asyncio.get_running_loop().run_in_executor(self.readers, self.workspace.has_project, name):
            return False
        known.add(name)
        return True

    def acting(self, caller: Caller, project: str) -> Workspace:
        """The workspace in the caller's name, in that project or, beside projects, in the default one."""
        project = project or DEFAULT_PROJECT
        readable = None if caller.is_admin else frozenset(caller.roles)
        key = (caller.user, project, readable)
        found = self._acting.get(key)
        if found is None:
            found = self.workspace.acting(user=caller.user, project=project, readable=readable)
            self._acting[key] = found
            if len(self._acting) > MOST_ACTING:
                self._acting.popitem(last=False)
        return found


def _oidc(options: ApiOptions) -> OidcSignIn | None:
    if options.oidc is None:
        return None
    from serve_api.oidc import OidcSignIn

    return OidcSignIn(options.oidc, options.public_url)
