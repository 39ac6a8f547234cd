"""What the process of a model is told before anything else."""

from __future__ import annotations

import msgspec

from raykqi.domain.endpoint import Batching, Loading

__all__ = ["Start"]

UNPACKED = 1 << 30  # bytes that a packed body may have when it is unpacked, unless told otherwise


class Start(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a process of a model is told: where the model is, how it is loaded, and how much it may take.

    `code` is the folder of the plan that made the model. `tags` are those of its data, which say things of it as its
    card does; `name`, `revision` and `data` are what answers call the model.
    `threads` are those of one calculation; `memory` are bytes that it may not exceed, 0 for no limit; `body` is what a
    packed body may unpack to.
    """

    model: str
    code: str = ""
    loading: Loading = Loading()
    batching: Batching = Batching()
    name: str = "model"
    revision: int = 1
    data: str = ""
    tags: tuple[str, ...] = ()
    threads: int = 1
    memory: int = 0
    body: int = UNPACKED
