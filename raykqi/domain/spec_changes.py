"""What scripts say of an endpoint, in few words, as a change of its spec."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypedDict

import msgspec

from raykqi.domain.endpoint import (
    Batching,
    Canary,
    EndpointSpec,
    Gate,
    Guard,
    Loading,
    Provider,
    RequestLimits,
    Sampling,
    Scale,
    check_spec,
)
from raykqi.errors import InvalidInput

__all__ = ["SpecChanges", "changed_spec"]


class SpecChanges(TypedDict, total=False):
    """What is not said stays as it is. A number stands for the first value of what it is about."""

    predictor: str
    trust: Iterable[str]
    trust_pickle: bool
    provider: Provider
    environment: Mapping[str, str]
    replicas: int | tuple[int, int]
    scale: Scale
    cpu: float
    gpu: float
    memory: int
    batch: int | Batching
    limits: RequestLimits
    gate: str | Gate
    canary: float | Canary
    guard: Guard
    sampling: float | Sampling
    public: bool
    surge: bool


_LOADING = ("predictor", "trust", "trust_pickle", "provider", "environment")
_RESOURCES = ("cpu", "gpu", "memory")


def changed_spec(spec: EndpointSpec, changes: SpecChanges) -> EndpointSpec:
    """The spec with what is said in place of what it said, checked."""
    given = {name: value for name, value in changes.items() if value is not None}
    if unknown := sorted(given.keys() - SpecChanges.__annotations__.keys()):
        raise InvalidInput(
            f"nothing is called {unknown[0]!r} in the spec of an endpoint",
            hint=f"Choose from {', '.join(SpecChanges.__annotations__)}.",
        )
    raw: dict[str, object] = {
        "loading": _loading(spec.loading, given),
        "resources": msgspec.structs.replace(spec.resources, **_of(_RESOURCES, given)),
        "scale": _scale(spec.scale, given),
        "batching": _first(spec.batching, "most", given.get("batch")),
        "limits": given.get("limits", spec.limits),
        "gate": _first(spec.gate, "metric", given.get("gate")),
        "canary": _first(spec.canary, "share", given.get("canary")),
        "guard": given.get("guard", spec.guard),
        "sampling": _first(spec.sampling, "share", given.get("sampling")),
        "is_public": given.get("public", spec.is_public),
        "surge": given.get("surge", spec.surge),
    }
    changed = msgspec.structs.replace(spec, **raw)
    try:
        return check_spec(msgspec.convert(msgspec.to_builtins(changed), EndpointSpec))
    except (msgspec.ValidationError, TypeError) as error:
        said = f"this cannot be said of an endpoint: {error}"
        raise InvalidInput(said, hint="Give values of the right type.") from error


def _loading(loading: Loading, given: Mapping[str, object]) -> Loading:
    said = _of(_LOADING, given)
    trust = said.get("trust")
    if isinstance(trust, Iterable):
        said["trust"] = (trust,) if isinstance(trust, str) else tuple(trust)
    return msgspec.structs.replace(loading, **said)


def _scale(scale: Scale, given: Mapping[str, object]) -> object:
    said = given.get("scale", scale)
    if "replicas" not in given or not isinstance(said, Scale):  # which is refused with all the rest
        return said
    match given["replicas"]:
        case (least, most):
            return msgspec.structs.replace(said, least=least, most=most)
        case tuple() as several:
            raise InvalidInput(
                f"replicas of {several!r} cannot be said of an endpoint",
                hint="Give a number, or two: the least and the most.",
            )
        case number:
            return msgspec.structs.replace(said, least=number, most=number)


def _first(value: msgspec.Struct, name: str, said: object) -> object:
    """What is said is the whole value, or only this one of its fields."""
    if said is None:
        return value
    return said if isinstance(said, msgspec.Struct) else msgspec.structs.replace(value, **{name: said})


def _of(names: Iterable[str], given: Mapping[str, object]) -> dict[str, object]:
    return {name: given[name] for name in names if name in given}
