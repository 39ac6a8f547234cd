"""How long to go on trying."""

from __future__ import annotations

import time

import pytest

from raykqi.errors import StorageUnavailable
from raykqi.storage.retry import FIRST_PAUSE, LONGEST_PAUSE, Attempts

FAULT = StorageUnavailable("put_object s3://lab/a got 503", hint="Check the server.")


def test_pauses_grow_up_to_a_limit() -> None:
    attempts = Attempts(1000.0)

    pauses = [attempts.pause_after(FAULT) for _ in range(12)]

    for number, pause in enumerate(pauses, 1):
        ceiling = min(FIRST_PAUSE * 2**number, LONGEST_PAUSE)
        assert ceiling / 2 <= pause <= ceiling


def test_there_are_two_attempts_at_least() -> None:
    attempts = Attempts(0.0)

    assert attempts.pause_after(FAULT) == 0.0
    with pytest.raises(
        StorageUnavailable, match=r"put_object s3://lab/a got 503 \(gave up after 2 attempts in 0\.0 s\)"
    ):
        attempts.pause_after(FAULT)


def test_no_pause_is_longer_than_the_time_left() -> None:
    attempts = Attempts(0.03)

    assert attempts.pause_after(FAULT) <= 0.03


def test_the_last_error_keeps_its_hint_and_cause() -> None:
    attempts = Attempts(0.1)

    started = time.monotonic()
    with pytest.raises(StorageUnavailable) as last:
        while True:
            attempts.wait_after(FAULT)

    assert last.value.hint == "Check the server."
    assert last.value.__cause__ is FAULT
    assert 0.1 <= time.monotonic() - started < 5


def test_progress_gives_new_time() -> None:
    attempts = Attempts(0.0)
    attempts.pause_after(FAULT)

    attempts.progressed()

    assert attempts.pause_after(FAULT) == 0.0
