"""Files of other tools are recognised."""

from __future__ import annotations

import pytest

from raykqi.errors import InvalidInput
from raykqi.importers.planfile import read_plan


@pytest.mark.parametrize(
    ("text", "tool"),
    [
        ("services:\n  web:\n    image: nginx\n", "a Docker Compose file"),
        ("name: CI\non: [push]\njobs:\n  test: {runs-on: ubuntu}\n", "a GitHub workflow"),
        ("apiVersion: ray.io/v1\nkind: RayCluster\n", "a RayCluster of KubeRay"),
        ("apiVersion: batch/v1\nkind: Job\nmetadata: {}\n", "a Kubernetes Job"),
        ("apiVersion: argoproj.io/v1alpha1\nkind: Workflow\n", "an Argo Workflow"),
        ("name: cifar10\nentry_points:\n  main:\n    command: python x\n", "an MLproject"),
        ("stages:\n  train:\n    cmd: python x\n", "a pipeline of DVC or a CI service"),
        ("my_dag:\n  default_args: {}\n  dag_id: x\n", "an Airflow DAG"),
        ("name: env\nchannels: [x]\ndependencies: [python]\n", "a conda environment"),
        ("cluster_name: x\nprovider: {}\n", "a Ray cluster"),
        ("apiRoot: https://x\ncert: {}\n", "a Knitfab profile"),
    ],
)
def test_a_file_of_another_tool_is_called_by_its_name(text: str, tool: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_plan(text, name="x.yaml")

    assert refused.value.message == f"x.yaml: this is {tool}, not a plan of raykqi"
    assert "raykqi plan template" in refused.value.hint
