"""Who outside is asked before a run goes on, told after it has, and told of events: URLs that get POST requests.

Values alone: what is asked and told, and what becomes of the answers, is the controller's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import get_args
from urllib.parse import urlsplit

from raykqi.domain.events import Event
from raykqi.errors import InvalidInput

__all__ = ["ACTIONS", "TIMEOUT", "Hooks", "Webhook", "check_event", "check_url", "check_webhook_name", "show_url"]

ACTIONS: tuple[str, ...] = tuple(sorted(str(event.__struct_config__.tag) for event in get_args(Event)))
GROUPS: tuple[str, ...] = tuple(sorted({f"{action.partition('.')[0]}.*" for action in ACTIONS}))
TIMEOUT = 10.0  # seconds in which an answer has to be there
URL_CHARS = 8_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")


@dataclass(frozen=True)
class Webhook:
    """`events` are actions, or `run.*` for all of a kind, or none for every one; `plans` ids or names, or none."""

    name: str
    url: str = field(repr=False)
    secret: str = field(repr=False)
    events: tuple[str, ...] = ()
    plans: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_webhook_name(self.name)
        check_url(self.url)
        for event in self.events:
            check_event(event)
        if not self.secret:
            raise InvalidInput(f"webhook {self.name!r} has no secret", hint="Its receiver checks signatures with it.")

    def wants(self, action: str) -> bool:
        kind = f"{action.partition('.')[0]}.*"
        return not self.events or action in self.events or kind in self.events


@dataclass(frozen=True)
class Hooks:
    """`before` have to agree, in their order, before a run goes on; `after` are told when it has."""

    before: tuple[str, ...] = field(default=(), repr=False)
    after: tuple[str, ...] = field(default=(), repr=False)
    timeout: float = TIMEOUT
    webhooks: tuple[Webhook, ...] = ()

    def __post_init__(self) -> None:
        for url in (*self.before, *self.after):
            check_url(url)
        if not 0 < self.timeout <= 3600:
            raise InvalidInput(f"a timeout of {self.timeout:g} s is not possible", hint="Give up to an hour.")
        names = [webhook.name for webhook in self.webhooks]
        for name in names:
            if names.count(name) > 1:
                raise InvalidInput(f"there are several webhooks {name!r}", hint="Give each a name of its own.")


def check_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or len(url) > URL_CHARS or not url.isprintable() or " " in url:
        raise InvalidInput(f"{show_url(url)!r} is no URL to call", hint="Write http://host/path or https://host/path.")
    return url


def check_event(event: str) -> str:
    if event not in ACTIONS and event not in GROUPS:
        raise InvalidInput(f"nothing is ever {event!r}", hint=f"Choose from {', '.join((*GROUPS, *ACTIONS))}.")
    return event


def check_webhook_name(name: str) -> str:
    """It names an object of the workspace, where it is remembered how far the webhook has come."""
    if not _NAME.match(name):
        hint = "Use up to 63 letters, digits, '-', '_' and '.', with a letter or digit first."
        raise InvalidInput(f"{name!r} is no name for a webhook", hint=hint)
    return name


def show_url(url: str) -> str:
    """The URL without what may be secret in it: user, password, query."""
    scheme, slashes, rest = url.partition("#")[0].partition("?")[0].rpartition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}"[:200]
