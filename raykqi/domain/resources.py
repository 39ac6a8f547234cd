"""What a run takes of a node: quantities as people and Kubernetes write them, checked once.

Values are kept as whole thousandths (cores, GPUs, custom resources) and bytes, so that sums of
fractions come out exactly.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import NoReturn

import msgspec

from raykqi.errors import InvalidInput

__all__ = ["Resources", "change_resources", "parse_bytes", "parse_resources", "parse_thousandths", "show_bytes"]
__all__ += ["show_thousandths"]

WHOLE = 1000
GIB = 1024**3
GPU_NAMES = ("gpu", "gpus", "nvidia.com/gpu")
# What Ray and Kubernetes call what has a name here; as resources of its own no node would ever have them.
OTHER_NAMES = {"cpus": "cpu", "num_cpus": "cpu", "mem": "memory", "num_gpus": "gpu", "accelerator_type": "accelerator"}
TOLERANCE = Decimal("1e-6")  # of a thousandth: what floats are off by
LONGEST = 40  # digits
MOST_THOUSANDTHS, MOST_BYTES = 10**15, 2**53
_QUANTITY = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*([A-Za-z]*)\s*\Z")
_BYTES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
_BYTES |= {"K": 10**3, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50}
_MODEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?\Z")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,251}[A-Za-z0-9])?\Z")


class Resources(msgspec.Struct, frozen=True, omit_defaults=True):
    """`cpu`, `gpu` and `custom` in thousandths, `memory` in bytes; `accelerator` is a type such as H100."""

    cpu: int = WHOLE
    memory: int = GIB
    gpu: int = 0
    accelerator: str = ""
    custom: dict[str, int] = {}

    def shown(self) -> dict[str, str]:
        """As a plan file writes them."""
        shown = {"cpu": show_thousandths(self.cpu), "memory": show_bytes(self.memory)}
        if self.gpu:
            shown["gpu"] = show_thousandths(self.gpu)
        if self.accelerator:
            shown["accelerator"] = self.accelerator
        return shown | {name: show_thousandths(value) for name, value in sorted(self.custom.items())}


def parse_resources(wanted: Mapping[str, object]) -> Resources:
    """From a plan's `resources`; what is not named keeps its default."""
    return change_resources(Resources(), wanted)


def change_resources(before: Resources, wanted: Mapping[str, object]) -> Resources:
    """`before` with the named ones replaced; None takes one off again, back to its default."""
    cpu, memory, gpu, accelerator, custom = before.cpu, before.memory, before.gpu, before.accelerator, {**before.custom}
    given = [name for name, value in wanted.items() if name in GPU_NAMES and value is not None]
    if len(given) > 1:
        raise InvalidInput(f"{given[0]!r} and {given[1]!r} both say how many GPUs", hint="Keep `gpu` alone.")
    for name, value in wanted.items():
        if name == "cpu":
            cpu = WHOLE if value is None else parse_thousandths(name, value)
        elif name == "memory":
            memory = GIB if value is None else parse_bytes(name, value)
        elif name in GPU_NAMES:
            gpu = 0 if value is None else _gpus(value)
        elif name == "accelerator":
            accelerator = "" if value is None else _model(value)
        elif value is None:
            custom.pop(name, None)
        else:
            custom[_checked(name)] = parse_thousandths(name, value)
    if accelerator and not gpu:
        raise InvalidInput(
            f"the accelerator {accelerator!r} is asked for, but no GPU", hint="Add `gpu: 1` to the resources."
        )
    return Resources(cpu, memory, gpu, accelerator, {name: value for name, value in custom.items() if value})


def parse_thousandths(name: str, value: object) -> int:
    """`2`, `0.5`, `"500m"`."""
    number, unit = _split(name, value)
    if unit not in ("", "m"):
        raise InvalidInput(
            f"{name}: {_quote(value)} has the unit {unit!r}", hint='Write a number, as in 2, 0.5 or "500m".'
        )
    thousandths = number * (1 if unit == "m" else WHOLE)
    _check_bounds(name, value, thousandths, MOST_THOUSANDTHS)
    if abs(thousandths - round(thousandths)) > TOLERANCE:
        raise InvalidInput(f"{name}: {_quote(value)} is finer than a thousandth", hint="Round it.")
    return round(thousandths)


def parse_bytes(name: str, value: object) -> int:
    """`1Gi`, `512M`, or bytes."""
    number, unit = _split(name, value)
    if unit not in _BYTES:
        raise InvalidInput(
            f"{name}: {_quote(value)} has the unit {unit!r}", hint="Units are Ki, Mi, Gi, Ti (of 1024) and k, M, G, T."
        )
    _check_bounds(name, value, number * _BYTES[unit], MOST_BYTES)
    return round(number * _BYTES[unit])


def show_thousandths(value: int) -> str:
    whole, rest = divmod(value, WHOLE)
    return f"{whole}.{rest:03}".rstrip("0") if rest else str(whole)


def show_bytes(value: int) -> str:
    for unit, size in (("Ti", 2**40), ("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
        if value and value % size == 0:
            return f"{value // size}{unit}"
    return str(value)


def _gpus(value: object) -> int:
    gpus = parse_thousandths("gpu", value)
    if gpus > WHOLE and gpus % WHOLE:
        raise InvalidInput(
            f"gpu: {show_thousandths(gpus)} is more than one GPU and not a whole number",
            hint="Ask for a part of one GPU (0.25), or for 1, 2, 3, …",
        )
    return gpus


def _split(name: str, value: object) -> tuple[Decimal, str]:
    # YAML reads 0.30000000000000004 and numpy hands in its own numbers: both are numbers by their text.
    match = None if isinstance(value, bool) else _QUANTITY.match(str(value))
    if match is None:
        raise InvalidInput(
            f"{name}: {_quote(value)} is not a quantity", hint='Write a number of 0 or more, as in 2 or "500m".'
        )
    if len(match[1]) > LONGEST:
        _refuse_size(name, value)
    return Decimal(match[1]), match[2]


def _check_bounds(name: str, value: object, number: Decimal, most: int) -> None:
    if number > most:
        _refuse_size(name, value)


def _refuse_size(name: str, value: object) -> NoReturn:
    raise InvalidInput(f"{name}: {_quote(value)} is beyond all measure", hint="Ask for what a node can have.")


def _quote(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}…"


def _model(value: object) -> str:
    if not isinstance(value, str) or not _MODEL.match(value):
        raise InvalidInput(
            f"accelerator: {_quote(value)} is not a type of GPU", hint="Write it as Ray does: H100, A100, T4."
        )
    return str(value)  # a plan file's text is of a class of its own, which no journal could hold


def _checked(name: str) -> str:
    meant = OTHER_NAMES.get(name.lower()) or next((own for own in ("cpu", "gpu", "memory") if own == name.lower()), "")
    if meant:
        raise InvalidInput(f"there is no resource {_quote(name)}", hint=f"It is called {meant!r}.")
    if not _NAME.match(name):
        raise InvalidInput(
            f"{_quote(name)} is not the name of a resource", hint="Use letters, digits, '.', '-', '_' and '/'."
        )
    return name
