"""How an attempt is doing right now, as its node says every few seconds."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from raykqi.domain.run import Usage

__all__ = ["Beat", "BeatFile", "Phase"]

Phase = Literal["preparing", "running", "completing", "ended"]


class BeatFile(msgspec.Struct, frozen=True):
    output: str
    path: str
    size: int


class Beat(msgspec.Struct, frozen=True, omit_defaults=True):
    """`progress` from 0 to 1 and `text` are what user code said last; `files` the first of its outputs so far."""

    at: datetime
    phase: Phase
    usage: Usage = Usage()
    progress: float | None = None
    text: str = ""
    pid: int = 0
    node: str = ""
    files: tuple[BeatFile, ...] = ()
    more_files: bool = False
