"""A process that changes a workspace from several threads until it is killed, and says what was acknowledged.

Each thread says what it is about to do, does it and says that it is done. It only touches data of its
own, so that at any moment at most one change of a thread is unacknowledged.
"""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

from raykqi.errors import InUse
from raykqi.journal.segments import compact
from raykqi.opening import open_parts
from raykqi.settings import Settings
from raykqi.workspace import Workspace
from tests.integration.processes import Says

__all__ = ["THREADS", "content", "work"]

THREADS = 4
POOL = ["type:dataset", "type:model", "split:train", "split:test", "言語:日本語"]
CONTENTS = 40


def content(number: int) -> dict[str, bytes]:
    """Few enough that threads often push the same; one in ten has a blob."""
    files = {"a.txt": f"alpha {number % 7}".encode(), "b/c.bin": bytes([number]) * 3000}
    if number % 10 == 0:
        files["big.bin"] = bytes([number]) * (1 << 20)
    return files


def work(says: Says, url: str, settings: Settings, sources: str, seed: int, own: list[list[str]]) -> None:
    """`own` are the data of each thread that are still listed, from earlier rounds."""
    parts = open_parts(url, settings)
    ws = Workspace(parts, settings)
    says(["open"])
    threads = [
        threading.Thread(target=_Thread(says, ws, Path(sources), f"{seed}-{number}", number, own[number]).run)
        for number in range(THREADS)
    ]
    threads.append(threading.Thread(target=_keep_house, args=(ws, parts, random.Random(seed))))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _keep_house(ws: Workspace, parts: Any, chance: random.Random) -> None:
    while True:
        pick = chance.random()
        if pick < 0.4:
            ws.snapshot()
        elif pick < 0.7:
            compact(parts.store, parts.keeper.position.seq, min_age=0)
        else:
            ws.gc(grace_seconds=0)
        threading.Event().wait(chance.uniform(0.0, 0.05))


class _Thread:
    def __init__(self, says: Says, ws: Workspace, sources: Path, name: str, number: int, own: list[str]) -> None:
        self._says, self._ws, self._sources, self._name = says, ws, sources, name
        self._chance = random.Random(name)
        self._number, self._own = number, list(own)
        self._step = 0

    def run(self) -> None:
        while True:
            self._step += 1
            pick = self._chance.random()
            if pick < 0.45 or len(self._own) < 3:
                self._push()
            elif pick < 0.85:
                self._tag()
            elif pick < 0.95:
                self._bury("purge")
            else:
                self._bury("remove")

    def _some(self, most: int) -> list[str]:
        return self._chance.sample(self._own, min(len(self._own), self._chance.randint(1, most)))

    def _tags(self) -> list[str]:
        return self._chance.sample(POOL, self._chance.randint(0, 3))

    def _push(self) -> None:
        number = self._chance.randrange(CONTENTS)
        tags = [f"op:{self._name}-{self._step}", *self._tags()]
        inputs = self._some(2) if self._own and self._chance.random() < 0.3 else []
        self._intend("push", number, tags, inputs)
        given = {f"in{n}": id_ for n, id_ in enumerate(inputs)}
        pushed = self._ws.push(self._sources / str(number), tags, inputs=given)
        self._own.append(pushed.id)
        self._done(pushed.id)

    def _tag(self) -> None:
        ids, add, remove = self._some(5), self._tags(), self._tags()
        keys = ["split"] if self._chance.random() < 0.2 else []
        self._intend("tag", ids, add, remove, keys)
        self._ws.tag(ids, add=add, remove=remove, remove_keys=keys)
        self._done()

    def _bury(self, how: str) -> None:
        ids = self._some(2)
        self._intend(how, ids)
        try:
            if how == "purge":
                self._ws.purge(ids, f"crash test {self._name}")
            else:
                self._ws.remove(ids, f"crash test {self._name}")
        except InUse:
            self._says(["refused", self._number])
            return
        if how == "remove":
            self._own = [id_ for id_ in self._own if id_ not in ids]
        self._done()

    def _intend(self, *what: object) -> None:
        self._says(["intent", self._number, *what])

    def _done(self, *what: object) -> None:
        self._says(["done", self._number, *what])
