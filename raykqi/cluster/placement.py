"""Where on a cluster a run may go and what it holds there, in the words of Ray's options."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from ray.util.accelerators import accelerators

from raykqi.domain.plan import NodeRules
from raykqi.domain.resources import WHOLE, Resources

__all__ = ["placement"]

Labels = dict[str, tuple[str, ...]]


def placement(
    resources: Resources, rules: NodeRules, there: Callable[[], Collection[str]] = tuple[str, ...]
) -> dict[str, Any]:
    """Options of a task or an actor; `there` tells the accelerators of the nodes.

    `may` is about taints of Kubernetes, which pods bear and Ray does not know.
    """
    options: dict[str, Any] = {"num_cpus": resources.cpu / WHOLE, "num_gpus": resources.gpu / WHOLE}
    if resources.memory:
        options["memory"] = resources.memory
    if resources.custom:
        options["resources"] = {name: value / WHOLE for name, value in resources.custom.items()}
    if resources.accelerator:
        options["accelerator_type"] = _spelled(resources.accelerator, there())
    wishes = _wishes(_labels(rules.must), rules.prefer)
    if wishes[0]:
        options["label_selector"] = _selector(wishes[0])
    if wishes[1:]:
        options["fallback_strategy"] = [{"label_selector": _selector(wish)} for wish in wishes[1:]]
    return options


def _spelled(wanted: str, there: Collection[str]) -> str:
    """As the nodes write it, else as Ray would: it compares them letter by letter."""
    by_ray = [str(name) for constant, name in vars(accelerators).items() if constant[0].isupper()]
    same = [name for name in (*there, *by_ray) if name.lower() == wanted.lower()]
    return wanted if wanted in there or not same else same[0]


def _wishes(must: Labels, prefer: tuple[str, ...]) -> list[Labels]:
    """What is tried in turn: all that is preferred, each of it alone, then only what must be."""
    wanted = [_both(must, _labels(prefer)), *(_both(must, _labels([one])) for one in prefer), must]
    return [wish for place, wish in enumerate(wanted) if wish not in wanted[:place]]


def _both(must: Labels, prefer: Labels) -> Labels:
    """A preference can only narrow what must be; one that contradicts it gives way."""
    narrowed = {
        key: tuple(value for value in values if value in must.get(key, values)) for key, values in prefer.items()
    }
    return must | {key: values for key, values in narrowed.items() if values}


def _labels(rules: Iterable[str]) -> Labels:
    """Several values of one key are alternatives: no node has two."""
    labels: Labels = {}
    for rule in rules:
        key, _, value = rule.partition("=")
        labels[key] = tuple(dict.fromkeys((*labels.get(key, ()), value)))
    return labels


def _selector(labels: Labels) -> dict[str, str]:
    return {key: values[0] if len(values) == 1 else f"in({','.join(values)})" for key, values in labels.items()}
