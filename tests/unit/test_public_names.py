"""What `import raykqi` offers: these names and no others."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

import raykqi


def test_the_public_names_are_these() -> None:
    assert raykqi.__all__ == [
        "Batching",
        "Binding",
        "Canary",
        "Data",
        "DataQuery",
        "Endpoint",
        "EndpointSpec",
        "Gate",
        "Guard",
        "Job",
        "Lineage",
        "Loading",
        "Page",
        "RaykqiError",
        "RemoteWorkspace",
        "RequestLimits",
        "Revision",
        "Sampling",
        "Scale",
        "ServingResources",
        "Tag",
        "Workspace",
        "__version__",
        "connect",
        "draw",
        "errors",
        "init",
        "open",
        "plan",
        "read_plan",
    ]


def test_every_public_name_is_there() -> None:
    namespace: dict[str, object] = {}
    exec("from raykqi import *", namespace)

    assert set(raykqi.__all__) <= namespace.keys()
    with pytest.raises(AttributeError, match="module 'raykqi' has no attribute 'push'"):
        raykqi.push  # noqa: B018


def test_the_example_in_the_docstring_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "桜.jpg").write_bytes(b"\xff\xd8")
    assert raykqi.__doc__
    example = textwrap.dedent("\n".join(line for line in raykqi.__doc__.splitlines() if line.startswith("    ")))

    exec(example, {})

    said = capsys.readouterr().out
    assert "Tag(key='name', value='photos')" in said
    assert "</svg>" in said
    assert (tmp_path / "copy-of-photos" / "桜.jpg").read_bytes() == b"\xff\xd8"
