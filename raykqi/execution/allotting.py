"""What a node has and what of it is free: counted in the units of `Resources`, GPUs one by one.

Parts of GPUs are packed: a part goes to the fullest GPU that still has room for it, so that whole
ones stay free for those who need them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raykqi.domain.plan import NodeRules
from raykqi.domain.resources import Resources

__all__ = ["Allotment", "meets"]

WHOLE = 1000


class Allotment:
    def __init__(self, total: Resources, gpus: Sequence[str] = ()) -> None:
        """`gpus` are the ids of the GPUs; by default they are counted from 0."""
        ids = tuple(gpus) or tuple(str(number) for number in range(total.gpu // WHOLE))
        self._accelerator = total.accelerator
        self._cpu, self._memory = total.cpu, total.memory
        self._gpus = dict.fromkeys(ids, WHOLE)
        self._custom = dict(total.custom)

    def take(self, wanted: Resources) -> tuple[str, ...] | None:
        """The ids of the GPUs that were taken; None when something of it is not free now."""
        if wanted.cpu > self._cpu or wanted.memory > self._memory:
            return None
        if any(amount > self._custom.get(name, 0) for name, amount in wanted.custom.items()):
            return None
        gpus = self._chosen(wanted)
        if gpus is not None:
            self._change(wanted, gpus, -1)
        return gpus

    def give_back(self, taken: Resources, gpus: tuple[str, ...]) -> None:
        self._change(taken, gpus, 1)

    def _chosen(self, wanted: Resources) -> tuple[str, ...] | None:
        if not wanted.gpu:
            return ()
        if wanted.accelerator and wanted.accelerator.lower() != self._accelerator.lower():
            return None
        if wanted.gpu >= WHOLE:
            whole = [gpu for gpu, free in self._gpus.items() if free == WHOLE]
            count = wanted.gpu // WHOLE
            return tuple(whole[:count]) if len(whole) >= count else None
        fitting = [gpu for gpu, free in self._gpus.items() if free >= wanted.gpu]
        return (min(fitting, key=self._gpus.__getitem__),) if fitting else None

    def _change(self, of: Resources, gpus: tuple[str, ...], sign: int) -> None:
        self._cpu += sign * of.cpu
        self._memory += sign * of.memory
        for gpu in gpus:
            self._gpus[gpu] += sign * min(of.gpu, WHOLE)
        for name, amount in of.custom.items():
            self._custom[name] = self._custom.get(name, 0) + sign * amount


def meets(labels: Mapping[str, str], rules: NodeRules) -> bool:
    """Whether a node has all the labels that `must` asks for; of several values of a key any will do."""
    wanted: dict[str, set[str]] = {}
    for rule in rules.must:
        key, _, value = rule.partition("=")
        wanted.setdefault(key, set()).add(value)
    return all(labels.get(key) in values for key, values in wanted.items())
