"""What upkeep found and did: answers of gc, fsck and doctor."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["Collection", "Finding", "Problem", "Report"]


class Collection(msgspec.Struct, frozen=True):
    """The objects that gc deleted, or would delete; and how many more nobody needs that are too young yet."""

    objects: tuple[str, ...]
    bytes: int
    dry_run: bool
    young: int = 0
    young_bytes: int = 0


class Problem(msgspec.Struct, frozen=True):
    """`object` is what is wrong; `data` and `paths` are what of the user's it concerns."""

    object: str
    what: str
    data: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    repaired: str = ""  # how, if it was
    hint: str = ""


class Report(msgspec.Struct, frozen=True):
    """What fsck looked at, and everything that is wrong."""

    problems: tuple[Problem, ...]
    entries: int
    data: int
    objects: int

    @property
    def clean(self) -> bool:
        return not self.problems

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong any more."""
        return all(problem.repaired for problem in self.problems)


class Finding(msgspec.Struct, frozen=True):
    """One thing that doctor looked at."""

    subject: str
    state: Literal["good", "warning", "bad"]
    what: str
    hint: str = ""
