"""Which server is meant, with which token and in which project, when not all of that is said."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec

from raykqi.client.profiles import Profile, Profiles, read_profiles
from raykqi.domain.access import DEFAULT_PROJECT, check_project
from raykqi.errors import Conflict, InvalidInput, WorkspaceMissing
from raykqi.settings import ServerSettings

__all__ = ["LocalServer", "Target", "address_of", "find_target", "local_servers", "server_of", "target_at"]


@dataclass(frozen=True)
class Target:
    """`said_by` is where its URL was found, for messages."""

    url: str
    token: str = field(default="", repr=False)
    project: str = DEFAULT_PROJECT
    said_by: str = ""


class LocalServer(msgspec.Struct, frozen=True):
    """What `raykqi up` leaves in this person's state folder while it is there."""

    url: str
    workspace: str
    pid: int
    token: str = ""

    def __repr__(self) -> str:
        return f"<server of {self.workspace} at {self.url}>"


def target_at(url: str, settings: ServerSettings, *, token: str | None = None, project: str | None = None) -> Target:
    """The server at `url`, which may bring its token along, as what `raykqi up` prints does.

    A token that is not given is looked for where that very server's would be: no server gets another's. "" is none.
    """
    address, brought = address_of(url)
    known = read_profiles(settings.profiles).at(address)
    if token is None:
        token = brought or _token_for(address, settings, known)
    meant = project or settings.project or (known.project if known else "") or DEFAULT_PROJECT
    return Target(address, token, check_project(meant))


def _token_for(address: str, settings: ServerSettings, known: Profile | None) -> str:
    own, brought = address_of(settings.url) if settings.url else (address, "")
    if own == address and (settings.token or brought):
        return settings.token or brought
    if known and known.token:
        return known.token
    return next((each.token for each in local_servers(settings.records) if each.url == address), "")


def server_of(workspace: str, url: str, settings: ServerSettings) -> Target:
    """The server that `raykqi up` runs on this machine for the workspace of this id; its store is at `url`."""
    found = next((each for each in local_servers(settings.records) if each.workspace == workspace), None)
    if found is None:
        raise Conflict(
            f"no server of {url} is up on this machine, so that nobody answers",
            hint="Start `raykqi up`, or name a server: --workspace https://…",
        )
    return Target(found.url, found.token)


def find_target(
    settings: ServerSettings, *, profile: str | None = None, token: str | None = None, project: str | None = None
) -> Target:
    """The one that is meant when none is named: of a profile, RAYKQI_URL, or a server of this machine."""
    profiles = read_profiles(settings.profiles)
    named = profile or ("" if settings.url else settings.profile)
    if not named and settings.url:
        found = target_at(settings.url, settings, token=token, project=project)
        return Target(found.url, found.token, found.project, "RAYKQI_URL")
    if named or profiles.current:
        return _of_profile(profiles, named or profiles.current, settings, token, project)
    local = list(local_servers(settings.records))
    if len(local) > 1:
        raise Conflict(
            f"{len(local)} servers are up on this machine: {', '.join(each.url for each in local)}",
            hint=f"Say which one: --workspace {local[0].url}, or RAYKQI_URL.",
        )
    if not local:
        raise WorkspaceMissing(
            "no server was named, and none is up on this machine",
            hint="`raykqi login URL` remembers one; RAYKQI_URL or --workspace URL names another.",
        )
    meant = project or settings.project or DEFAULT_PROJECT
    return Target(local[0].url, token or local[0].token, check_project(meant), "a server of this machine")


def local_servers(records: Path) -> Iterator[LocalServer]:
    """Those that are up; what a killed one left behind does not count."""
    for file in sorted(records.glob("*.json")):
        try:
            server = msgspec.json.decode(file.read_bytes(), type=LocalServer)
        except (OSError, ValueError):
            continue  # it is just being written, or not ours
        if _is_alive(server.pid):
            yield msgspec.structs.replace(server, url=address_of(server.url)[0])


def _of_profile(
    profiles: Profiles, name: str, settings: ServerSettings, token: str | None, project: str | None
) -> Target:
    found = profiles.named(name)
    own = settings.token if settings.url is None else ""
    meant = project or settings.project or found.project or DEFAULT_PROJECT
    return Target(found.url, token or own or found.token, check_project(meant), f"profile {name}")


def address_of(url: str) -> tuple[str, str]:
    """The address of a server alone, always written the same way, and the token that came with it."""
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port
        asked = parse_qs(parts.query)
    except ValueError:
        parts, host, port, asked = urlsplit(""), "", None, {}
    if parts.scheme not in ("http", "https") or not host or parts.username is not None or set(asked) - {"token"}:
        shown = f"{parts.scheme}://{host}" if host else "what was given"
        raise InvalidInput(
            f"{shown} is no address of a server", hint="Write it like https://raykqi.example.org or http://host:8000."
        )
    name = f"[{host}]" if ":" in host else host
    default = {"http": 80, "https": 443}[parts.scheme]
    shown_port = "" if port in (None, default) else f":{port}"
    return f"{parts.scheme}://{name}{shown_port}{parts.path.rstrip('/')}", asked.get("token", [""])[0]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError, ValueError):
        return False
    except PermissionError:
        return True
    return pid > 0
