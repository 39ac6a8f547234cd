"""How a process ended, in words."""

from __future__ import annotations

import pytest

from raykqi.serving.death import how_it_ended


@pytest.mark.parametrize(
    ("code", "kills", "memory", "told"),
    [
        (0, 0, 0, "ended with code 0"),
        (3, 1, 0, "ended with code 3"),
        (-9, 0, 0, "was killed by SIGKILL"),
        (-9, 1, 0, "was killed because the memory was used up"),
        (-9, 2, 512 * 2**20, "was killed because the memory was used up (it may have 512 MiB)"),
        (-11, 1, 0, "was killed by SIGSEGV"),
        (-40, 0, 0, "was killed by signal 40"),
    ],
)
def test_an_end_is_told(code: int, kills: int, memory: int, told: str) -> None:
    assert how_it_ended(code, kills, memory) == told
