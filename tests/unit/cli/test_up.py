"""What `raykqi up` does for as long as it runs."""

from __future__ import annotations

import queue

import pytest

from cli.up import CHANGED, STOP, _follow


def test_what_no_longer_runs_plans_is_noticed_although_changes_keep_coming() -> None:
    changes: queue.SimpleQueue[str] = queue.SimpleQueue()
    changes.put(CHANGED)
    did: list[str] = []

    def look() -> None:
        did.append("looked")
        changes.put(CHANGED if len(did) < 3 else STOP)

    def check() -> None:
        raise OSError("the dispatcher has failed")

    with pytest.raises(OSError, match="the dispatcher has failed"):
        _follow(changes, look, check)
    assert did == ["looked"]


def test_it_goes_on_until_it_is_to_stop() -> None:
    changes: queue.SimpleQueue[str] = queue.SimpleQueue()
    did: list[str] = []

    def look() -> None:
        did.append("looked")
        changes.put(STOP)

    changes.put(CHANGED)
    _follow(changes, look, lambda: did.append("checked"))
    assert did == ["looked", "checked"]
