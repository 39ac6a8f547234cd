"""Files of other tools, recognised so that the message can say what they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raykqi.errors import InvalidInput

__all__ = ["refuse_other_tools"]

# Keys that together mean: this is a file of that tool.
SIGNS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("apiVersion", "kind"), "a Kubernetes manifest"),
    (("entry_points",), "an MLproject"),
    (("services",), "a Docker Compose file"),
    (("jobs", "on"), "a GitHub workflow"),
    (("jobs",), "a workflow of a CI service"),
    (("stages",), "a pipeline of DVC or a CI service"),
    (("schema", "stages"), "a dvc.lock"),
    (("pipelineInfo",), "a Kubeflow pipeline"),
    (("deploymentSpec",), "a Kubeflow pipeline"),
    (("dependencies", "channels"), "a conda environment"),
    (("cluster_name", "provider"), "a Ray cluster"),
    (("applications",), "a Ray Serve configuration"),
    (("import_path",), "a Ray Serve configuration"),
    (("apiRoot",), "a Knitfab profile"),
    (("dag",), "an Airflow DAG"),
    (("dag_id",), "an Airflow DAG"),
    (("dags",), "an Airflow DAG"),
    (("tasks",), "a list of tasks of another tool"),
    (("steps",), "a pipeline of another tool"),
)
HOW = "A plan takes one step of it: `raykqi plan template -- COMMAND …` makes one from a command line."


def refuse_other_tools(tree: Mapping[str, Any], source: str) -> None:
    tool = _tool(tree)
    if tool:
        raise InvalidInput(f"{source}: this is {tool}, not a plan of raykqi", hint=HOW)


def _tool(tree: Mapping[str, Any]) -> str:
    kind, group = tree.get("kind"), str(tree.get("apiVersion") or "")
    if isinstance(kind, str) and "argoproj.io" in group:
        return f"an Argo {kind}"
    if isinstance(kind, str) and group.startswith("ray.io/"):
        return f"a {kind} of KubeRay"
    if isinstance(kind, str) and group:
        return f"a Kubernetes {kind}"
    if isinstance(tree.get("jobs"), dict) and ("on" in tree or "true" in tree):
        return "a GitHub workflow"
    if tree and all(isinstance(value, dict) and "dag_id" in {*value, *_inner(value)} for value in tree.values()):
        return "an Airflow DAG"
    return next((tool for keys, tool in SIGNS if all(key in tree for key in keys)), "")


def _inner(value: Mapping[str, Any]) -> set[str]:
    return {str(key) for inner in value.values() if isinstance(inner, dict) for key in inner}
