"""How many examples a property is tried with."""

from __future__ import annotations

import hypothesis

__all__ = ["MORE", "examples"]

MORE = "soak"  # the profile that `make soak` names


def examples(usual: int) -> int:
    """Ten times as many in `make soak`."""
    return usual * 10 if hypothesis.settings.get_current_profile_name() == MORE else usual
