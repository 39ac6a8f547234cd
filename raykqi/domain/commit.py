"""What was committed at once, as those hear of it who follow a project."""

from __future__ import annotations

from datetime import datetime

import msgspec

from raykqi.domain.events import Event

__all__ = ["Commit"]


class Commit(msgspec.Struct, frozen=True):
    """What one entry of the journal, number `seq`, changed in one project; never a part of it."""

    seq: int
    at: datetime
    events: tuple[Event, ...]
