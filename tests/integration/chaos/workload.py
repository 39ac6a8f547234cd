"""Many small runs of all kinds, and a hand that kills at random what carries them out."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil

from tests.integration.chaos import user_functions
from tests.integration.chaos.nodes import Cluster
from tests.integration.chaos.served import Served

__all__ = ["Killer", "apply_plans", "push_work"]

COMMANDS = {
    "plain": "sleep 0.$((RANDOM % 9)); cp {inputs.in}/file {outputs.made}/file",
    "flaky": 'test "$RAYKQI_ATTEMPT" -gt 1 || exit 1\ncp {inputs.in}/file {outputs.made}/file',
    "daemon": "setsid sleep 600 & sleep 0.5; cp {inputs.in}/file {outputs.made}/file",
}
FUNCTIONS = {"quick": 5, "slow": 2, "flaky": 1}  # of eight function runs


def apply_plans(served: Served) -> None:
    for function in (user_functions.quick, user_functions.slow, user_functions.flaky):
        served.ws.apply(function)
    for launcher in ("process", "sandbox"):
        served.bench.launcher = launcher
        for name, script in COMMANDS.items():
            served.bench.plan(
                script,
                inputs={"/in": [f"to:{launcher}-{name}"]},
                outputs={"/made": [f"by:{launcher}-{name}"]},
                more="retries: 3\nbackoff: 0.1\nresources: {cpu: 0.5, memory: 0}",
            )


def push_work(served: Served, chance: random.Random, *, functions: int, commands: int) -> None:
    """One data for each run, in any order."""
    tags = [f"to:{name}" for name, share in FUNCTIONS.items() for _ in range(functions * share // 8)]
    names = [f"to:{launcher}-{name}" for launcher in ("process", "sandbox") for name in COMMANDS]
    tags += [names[number % len(names)] for number in range(commands)]
    chance.shuffle(tags)
    for tag in tags:
        served.bench.push(tag)


@dataclass
class Killer:
    """Kills what it may on the nodes that are not the head, and on the head what is no part of Ray itself."""

    served: Served
    chance: random.Random
    killed: Counter[str] = field(default_factory=Counter)

    @property
    def cluster(self) -> Cluster:
        return self.served.cluster

    def kill(self, kind: str) -> bool:
        """False when there is none of it now."""
        kills: dict[str, Callable[[], bool]] = {
            "worker": lambda: self._one("ray::carry_out", "ray::IDLE", "ray::quick", "ray::slow", "ray::flaky"),
            "supervisor": lambda: self._one("ray::RunActor", "ray::raykqi-run-"),
            "command": lambda: self._one("sleep", "/bin/sh", "bwrap", "/usr/bin/bwrap"),
            "controller": self._controller,
            "raylet": self._raylet,
            "node": self._node,
        }
        is_killed = kills[kind]()
        self.killed[kind] += is_killed
        return is_killed

    def wait(self, most: float) -> None:
        """A random moment."""
        threading.Event().wait(self.chance.uniform(0, most))

    def _one(self, *titles: str) -> bool:
        found = [process for node in self.cluster.nodes.values() for process in node.titled(*titles)]
        if not found:
            return False
        try:
            self.chance.choice(sorted(found, key=lambda process: process.pid)).kill()
        except psutil.NoSuchProcess:
            return False
        return True

    def _controller(self) -> bool:
        self.served.kill()
        self.served.serve()
        return True

    def _raylet(self) -> bool:
        """Its workers find out by themselves that it has gone."""
        second = self.cluster.nodes["second"]
        raylet = second.raylet
        if raylet is None:
            return False
        raylet.kill()
        second.start()
        return True

    def _node(self) -> bool:
        second = self.cluster.nodes["second"]
        if second.raylet is None:
            return False
        second.start()
        return True
