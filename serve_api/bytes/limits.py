"""What one upload may bring, and how it must come in."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["UploadLimits"]

MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True)
class UploadLimits:
    """`ratio` holds for compressed bodies beyond the first `free` bytes that come out of them.

    A body is small up to `small` bytes; of larger ones only `large_at_once` come in at a time.
    """

    bytes: int = 1024 * GIB
    entries: int = 500_000
    ratio: int = 200
    free: int = 64 * MIB
    reserve: int = GIB  # of the staging disk, left for others
    at_once: int = 256
    large_at_once: int = 16
    small: int = 8 * MIB
    patience: float = 60.0  # seconds in which a client must send at least `least` bytes
    least: int = 16 * 1024
