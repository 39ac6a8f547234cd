"""Specs of endpoints as files: what may stand in them, what is refused and where, and that they read back the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raykqi.domain.endpoint import (
    Batching,
    Binding,
    Canary,
    EndpointSpec,
    Gate,
    Guard,
    Loading,
    RequestLimits,
    Sampling,
    Scale,
    ServingResources,
)
from raykqi.domain.tags import Tag
from raykqi.errors import InvalidInput
from raykqi.importers.endpoint_file import change_spec, read_endpoint, render_endpoint

WHOLE = """\
name: digits
tags: [stage:prod, type:model]
predictor: predict.py:Digits
trust: [numpy.dtype]
provider: cpu
environment:
  LANG: C
batching: {most: 32, latency_ms: 20}
limits: {body: 1Mi, timeout: 1m30s, queue: 64, rate: 100}
scale: {least: 0, most: 3, target: 8, idle: 5m}
resources: {cpu: 0.5, gpu: 0.25, memory: 2Gi}
gate: {metric: accuracy, goal: higher, least: 0.01, approvers: [hanako]}
canary: {share: 0.1, seconds: 2m, requests: 50}
guard: {errors: off, latency_ms: 250}
sampling: {share: 1, rows: 10, tags: [for:review], leave_out: [email]}
public: yes
surge: no
"""
SPEC = EndpointSpec(
    Binding(tags=(Tag("stage", "prod"), Tag("type", "model"))),
    Loading("predict.py:Digits", ("numpy.dtype",), provider="cpu", environment={"LANG": "C"}),
    Batching(32, 20.0),
    RequestLimits(1024**2, 90.0, 64, 100.0),
    Scale(0, 3, 8.0, 300.0),
    ServingResources(0.5, 0.25, 2 * 1024**3),
    Gate("accuracy", "higher", 0.01, ("hanako",)),
    Canary(0.1, 120.0, 50),
    Guard(None, 250.0),
    Sampling(1.0, 10, tags=(Tag("for", "review"),), leave_out=("email",)),
    is_public=True,
    surge=False,
)


def read(text: str) -> EndpointSpec:
    return read_endpoint(text.encode(), "spec.yaml")[1]


def test_a_file_may_say_everything() -> None:
    assert read_endpoint(WHOLE.encode(), "spec.yaml") == ("digits", SPEC)


def test_what_is_not_said_is_as_usual() -> None:
    data = "01939c1c-7d1e-7b0a-9f41-0d9a6c1e2f33"

    assert read_endpoint(f"data: {data}\n".encode(), "x") == ("", EndpointSpec(Binding(data=data)))


def test_what_is_written_reads_back_the_same() -> None:
    text = render_endpoint("digits", SPEC)

    assert read_endpoint(text.encode(), "x") == ("digits", SPEC)
    assert text.splitlines()[:3] == [
        'name: "digits"',
        'tags: ["stage:prod", "type:model"]',
        'predictor: "predict.py:Digits"',
    ]
    assert render_endpoint("a", EndpointSpec(Binding(tags=(Tag("a", "b"),)))) == 'name: "a"\ntags: ["a:b"]\n'


@given(
    most=st.integers(1, 4096),
    body=st.integers(1, 1 << 40),
    share=st.floats(0, 1),
    rate=st.none() | st.floats(0.001, 1e9),
    value=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30),
)
def test_any_values_read_back_the_same(most: int, body: int, share: float, rate: float | None, value: str) -> None:
    spec = EndpointSpec(
        Binding(tags=(Tag("type", "model"),)),
        Loading(environment={"NAME": value}),
        Batching(most),
        RequestLimits(body=body, rate=rate),
        canary=Canary(share),
    )

    assert read_endpoint(render_endpoint("a", spec).encode(), "x") == ("a", spec)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("tags: [a:b]\nscal: {least: 1}\n", "spec.yaml:2: scal: there is no key 'scal'", "'scale'"),
        ("tags: [a:b]\nscale:\n  mots: 3\n", "spec.yaml:3: scale.mots: there is no key 'mots' in `scale`", "'most'"),
        ("tags: [a:b]\nscale:\n  most: many\n", "spec.yaml:3: scale.most: 'many' is no int", "whole number"),
        ("tags: [a:b]\ncanary: {share: 2}\n", "spec.yaml:2: canary: canary.share of 2.0 is not possible", "0 to 1"),
        ("tags: [nocolon]\n", "spec.yaml:1: tags[0]: ", ""),
        ("tags: [a:b]\ndata: x\n", "spec.yaml:1: an endpoint is bound to one data or to tags", "--data ID"),
        ("", "an endpoint is bound to one data or to tags", ""),
        ("name: Digits\ntags: [a:b]\n", "spec.yaml:1: name: 'Digits' is no name of an endpoint", "small letters"),
        ("tags: [a:b]\nprovider: gpu\n", "spec.yaml:2: provider: there is no 'gpu' here", ""),
        ("tags: [a:b]\nlimits: {body: 3 apples}\n", "spec.yaml:2: limits.body: ", ""),
        ("- a\n", "is no mapping", ""),
    ],
)
def test_mistakes_are_told_with_their_line(text: str, message: str, hint: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(text)

    assert message in caught.value.message
    assert hint in caught.value.hint


def test_single_values_are_changed_by_their_names() -> None:
    changed = change_spec(
        SPEC,
        {
            "scale.most": "5",
            "limits.rate": "off",
            "environment.MODE": "fast",
            "public": "no",
            "trust": "a.B, c.D",
            "sampling.tags": "x:y",
            "predictor": "",
            "resources.memory": "1Gi",
        },
    )

    assert changed.scale == Scale(0, 5, 8.0, 300.0)
    assert changed.limits.rate is None
    assert changed.loading == Loading("", ("a.B", "c.D"), provider="cpu", environment={"LANG": "C", "MODE": "fast"})
    assert changed.sampling.tags == (Tag("x", "y"),)
    assert not changed.is_public
    assert changed.resources.memory == 1024**3
    assert changed.canary == SPEC.canary


@pytest.mark.parametrize(
    ("key", "value", "message", "hint"),
    [
        ("scale.mots", "3", "there is no key 'mots' in `scale`", "'most'"),
        ("scale", "3", "there is no key '' in `scale`", "least"),
        ("canary.share", "half", "canary.share: 'half' is no float", ""),
        ("publik", "yes", "there is no key 'publik' in the spec of an endpoint", "'public'"),
        ("public", "maybe", "public: 'maybe' is neither true nor false", ""),
    ],
)
def test_values_that_are_none_are_refused(key: str, value: str, message: str, hint: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        change_spec(SPEC, {key: value})

    assert message in caught.value.message
    assert hint in caught.value.hint
