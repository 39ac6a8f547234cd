"""Profiles: the servers that a person uses, as whom and in which project. Their file is for its owner's eyes alone."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

import msgspec

from raykqi.errors import Damaged, InvalidInput, NotFound, StorageDenied

__all__ = ["Profile", "Profiles", "check_profile", "read_profiles", "write_profiles"]

_NAME = re.compile(r"[A-Za-z0-9][-_.A-Za-z0-9]{0,62}\Z")


class Profile(msgspec.Struct, frozen=True, omit_defaults=True):
    url: str
    token: str = ""
    user: str = ""
    project: str = ""

    def __repr__(self) -> str:
        return f"<profile of {self.user or 'nobody'} at {self.url}>"


class Profiles(msgspec.Struct, frozen=True):
    """`current` is the name of the one that is meant when none is named, or ""."""

    current: str = ""
    profiles: dict[str, Profile] = {}

    def named(self, name: str) -> Profile:
        if name not in self.profiles:
            known = ", ".join(sorted(self.profiles)) or "none so far"
            raise NotFound(
                f"there is no profile {name!r}; known: {known}", hint=f"`raykqi login URL --profile {name}` makes it."
            )
        return self.profiles[name]

    def at(self, url: str) -> Profile | None:
        """One that is for that server; the current one before others."""
        mine = [self.profiles[self.current]] if self.current in self.profiles else []
        return next((each for each in (*mine, *self.profiles.values()) if each.url == url), None)

    def keeping(self, name: str, profile: Profile) -> Profiles:
        """With that profile, as the current one."""
        return Profiles(name, {**self.profiles, name: profile})

    def using(self, name: str) -> Profiles:
        self.named(name)
        return Profiles(name, self.profiles)

    def without(self, name: str) -> Profiles:
        rest = {each: profile for each, profile in self.profiles.items() if each != name}
        return Profiles("" if self.current == name else self.current, rest)


def check_profile(name: str) -> str:
    if not _NAME.match(name):
        raise InvalidInput(
            f"{name!r} is no name of a profile", hint="Up to 63 letters, digits and any of -_., as in lab-2."
        )
    return name


def read_profiles(file: Path) -> Profiles:
    """Those that are there; none where there is no file."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Profiles)
    except (FileNotFoundError, NotADirectoryError):
        return Profiles()
    except OSError as error:
        raise StorageDenied(f"cannot read {file}: {error.strerror}", hint="It must be yours and readable.") from error
    except (ValueError, RecursionError):
        # The bytes themselves may hold a token: they are not quoted.
        raise Damaged(f"{file} is not what `raykqi login` wrote", hint="Remove it and log in again.") from None


def write_profiles(file: Path, profiles: Profiles) -> None:
    """Whole or not at all, readable by nobody else at any moment."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(prefix=".profiles-", dir=file.parent)  # with mode 0600
        try:
            with os.fdopen(handle, "wb") as opened:
                opened.write(msgspec.json.format(msgspec.json.encode(profiles), indent=2) + b"\n")
                opened.flush()
                os.fsync(opened.fileno())
            os.replace(name, file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StorageDenied(
            f"cannot write {file}: {error.strerror}", hint="Profiles are kept there; XDG_CONFIG_HOME moves them."
        ) from error
