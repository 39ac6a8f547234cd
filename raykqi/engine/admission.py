"""Which runs may start now: pure sums over what nodes have, what is taken and who waits.

Runs are served by priority and then by age. One that does not fit lets later ones pass, but not for
ever: when it has waited for `STARVED` seconds beside free resources, nothing younger starts before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from raykqi.domain.access import Quota
from raykqi.domain.order import Attempt, NodeShape
from raykqi.domain.plan import Definition
from raykqi.domain.quota import NOTHING_TAKEN, Taken, add, is_beyond, why_over
from raykqi.domain.resources import Resources, show_bytes, show_thousandths

__all__ = ["STARVED", "Ledger", "fits", "fits_limit", "share", "why_never"]

STARVED = 60.0


class _Sum:
    """What attempts take together."""

    def __init__(self) -> None:
        self.cpu = self.memory = self.gpu = 0
        self.custom: Counter[str] = Counter()

    def add(self, taken: Resources, sign: int) -> None:
        self.cpu += sign * taken.cpu
        self.memory += sign * taken.memory
        self.gpu += sign * taken.gpu
        for name, value in taken.custom.items():
            self.custom[name] += sign * value

    def left_of(self, total: Resources) -> Resources:
        custom = {name: value - self.custom[name] for name, value in total.custom.items()}
        return Resources(
            total.cpu - self.cpu, total.memory - self.memory, total.gpu - self.gpu, total.accelerator, custom
        )


class _Place(NamedTuple):
    """What an attempt takes: of a node, and of the quota of its project."""

    node: str
    resources: Resources
    project: str
    counted: Resources


class Ledger:
    """What each node has, and which attempt takes what of it. Ray places runs; this keeps count of how many fit.

    `limit` is what all of them may take together in cores, memory and GPUs, on however many nodes;
    `quotas` what those of each project may.
    """

    def __init__(self, shapes: Sequence[NodeShape] = (), limit: Resources | None = None) -> None:
        self.shapes = shapes
        self.quotas: Mapping[str, Quota] = {}
        self._limit = limit
        self._taken: dict[Attempt, _Place] = {}
        self._by_project: dict[str, Taken] = {}
        self._by_node: dict[str, _Sum] = {}
        self._together = _Sum()

    def __contains__(self, attempt: Attempt) -> bool:
        return attempt in self._taken

    def __len__(self) -> int:
        return len(self._taken)

    def attempts(self) -> list[Attempt]:
        return list(self._taken)

    def place(self, resources: Resources, definition: Definition) -> str | None:
        """A node with room for it now."""
        if self._limit and not fits_limit(resources, self._together.left_of(self._limit)):
            return None
        for shape in self.shapes:
            free = self._by_node.setdefault(shape.name, _Sum()).left_of(shape.total)
            if _may_run_on(shape, definition) and fits(resources, free):
                return shape.name
        return None

    def take(
        self, attempt: Attempt, node: str, resources: Resources, *, project: str = "", whole: Resources | None = None
    ) -> None:
        """`whole` is what counts for the project, where runs that take turns in one place count less for the node."""
        self.give_back(attempt)
        counted = whole or resources
        self._taken[attempt] = _Place(node, resources, project, counted)
        self._together.add(resources, 1)
        self._by_node.setdefault(node, _Sum()).add(resources, 1)
        self._by_project[project] = add(self._by_project.get(project, NOTHING_TAKEN), counted)

    def give_back(self, attempt: Attempt) -> None:
        if place := self._taken.pop(attempt, None):
            self._together.add(place.resources, -1)
            self._by_node[place.node].add(place.resources, -1)
            self._by_project[place.project] = add(self._by_project[place.project], place.counted, -1)

    def is_over(self, project: str, resources: Resources) -> bool:
        """Whether a run that asks for this would take its project over its quota now."""
        quota = self.quotas.get(project)
        taken = self._by_project.get(project, NOTHING_TAKEN)
        return quota is not None and bool(why_over(project, quota, taken, resources))

    def is_beyond(self, project: str, resources: Resources) -> bool:
        """Whether it asks for more than its project may ever take."""
        quota = self.quotas.get(project)
        return quota is not None and is_beyond(quota, resources)

    def why_never(self, resources: Resources, definition: Definition) -> str:
        """Why no node there is can ever run it, in words; "" when one could."""
        if self._limit and not fits_limit(resources, self._limit):
            limit = self._limit
            return (
                f"runs may take {show_thousandths(limit.cpu)} CPUs, {_gib(limit.memory)} and"
                f" {show_thousandths(limit.gpu)} GPUs together here, and it asks for more"
            )
        return why_never(resources, definition, self.shapes)


def fits_limit(wanted: Resources, left: Resources) -> bool:
    return wanted.cpu <= left.cpu and wanted.memory <= left.memory and wanted.gpu <= left.gpu


def fits(wanted: Resources, free: Resources) -> bool:
    return (
        wanted.cpu <= free.cpu
        and wanted.memory <= free.memory
        and wanted.gpu <= free.gpu
        and (not wanted.accelerator or wanted.accelerator.lower() == free.accelerator.lower())
        and all(value <= free.custom.get(name, 0) for name, value in wanted.custom.items())
    )


def share(resources: Resources, among: int) -> Resources:
    """What one of `among` runs counts for that take turns in one place."""
    if among <= 1:
        return resources
    return Resources(
        -(-resources.cpu // among),
        resources.memory // among,
        -(-resources.gpu // among),
        resources.accelerator,
        {name: -(-value // among) for name, value in resources.custom.items()},
    )


def why_never(resources: Resources, definition: Definition, shapes: Sequence[NodeShape]) -> str:
    """Why no node there is can ever run it, in words; "" when one could."""
    if definition.launcher == "container" and not definition.function:
        return "no node can run containers yet; a plan with `launcher: sandbox` or `process` runs without one"
    if not shapes:
        return "there is no node"
    for label in definition.on_node.must:
        if not any(_has(shape, label) for shape in shapes):
            return f"no node has the label {label}"
    fitting = [shape for shape in shapes if _may_run_on(shape, definition)]
    if not fitting:
        return f"no node has all of the labels {', '.join(definition.on_node.must)}"
    if any(fits(resources, shape.total) for shape in fitting):
        return ""
    return _shortage(resources, fitting)


def _shortage(wanted: Resources, shapes: Sequence[NodeShape]) -> str:
    most_gpu = max(shape.total.gpu for shape in shapes)
    if wanted.gpu > most_gpu:
        largest = f"largest is {show_thousandths(most_gpu)}" if most_gpu else "none has any"
        return f"no node has {show_thousandths(wanted.gpu)} GPUs; {largest}"
    most_cpu = max(shape.total.cpu for shape in shapes)
    if wanted.cpu > most_cpu:
        return f"no node has {show_thousandths(wanted.cpu)} CPUs; largest is {show_thousandths(most_cpu)}"
    most_memory = max(shape.total.memory for shape in shapes)
    if wanted.memory > most_memory:
        return f"no node has {show_bytes(wanted.memory)} of memory; largest is {_gib(most_memory)}"
    if wanted.accelerator:
        there = sorted({shape.total.accelerator for shape in shapes if shape.total.accelerator})
        if wanted.accelerator.lower() not in [name.lower() for name in there]:
            return f"no node has the accelerator {wanted.accelerator}; there is {', '.join(there) or 'none'}"
    for name, value in wanted.custom.items():
        most = max(shape.total.custom.get(name, 0) for shape in shapes)
        if value > most:
            return f"no node has {show_thousandths(value)} of {name}; largest is {show_thousandths(most)}"
    return "no node has all of the resources together that it asks for"


def _may_run_on(shape: NodeShape, definition: Definition) -> bool:
    by_key: dict[str, list[str]] = {}
    for label in definition.on_node.must:
        by_key.setdefault(label.partition("=")[0], []).append(label)
    return all(any(_has(shape, label) for label in labels) for labels in by_key.values())


def _has(shape: NodeShape, label: str) -> bool:
    key, _, value = label.partition("=")
    labels: Mapping[str, str] = shape.labels
    return labels.get(key) == value


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
