"""A server for the controller's actor: it remembers nothing, as after a crash."""

from __future__ import annotations

import os
from pathlib import Path


class Counter:
    def __init__(self, folder: str, *, name: str) -> None:
        self._folder = Path(folder)
        self._name = name
        with open(self._folder / "begun", "a", encoding="utf-8") as begun:
            begun.write(f"{name} {os.getpid()}\n")

    def pid(self) -> int:
        return os.getpid()

    def add(self, left: int, right: int) -> int:
        return left + right

    def close(self) -> None:
        (self._folder / "closed").touch()


def refuse() -> None:
    raise ValueError("the workspace is owned by somebody else")
