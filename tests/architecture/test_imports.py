"""The import budget: what `import raykqi` and the command line must not load, and the public names."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import raykqi
from cli.app import NOUNS
from tests.architecture.source import ROOT, modules, parsed

SERVERS = {"fastapi", "onnxruntime", "ray", "torch"}
HEAVY = SERVERS | {"boto3", "botocore", "duckdb", "fsspec", "numpy", "pyarrow", "s3fs", "sqlalchemy", "sqlmodel"}
PUBLIC = [
    path
    for path in modules()
    if path.parts[0] == "raykqi" and path.name != "__init__.py" and not path.name.startswith("_")
]


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after running `code`."""
    script = f"{code}\nimport sys\nprint('\\n'.join(name for name in sys.modules if '.' not in name))"
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def test_importing_raykqi_loads_nothing_heavy() -> None:
    assert loaded_by("import raykqi") & HEAVY == set()


def test_the_command_line_starts_without_anything_heavy() -> None:
    assert loaded_by("import cli.main") & HEAVY == set()


def test_a_decorated_function_and_the_commands_of_runs_load_nothing_heavy() -> None:
    assert loaded_by("import examples.digits") & HEAVY == set()
    nouns = ", ".join(f"cli.{noun}" for noun in NOUNS)
    assert loaded_by(f"import cli.app, cli.run_top, cli.up, cli.plan_apply, {nouns}") & HEAVY == set()


def test_every_public_name_resolves() -> None:
    missing = [name for name in raykqi.__all__ if not hasattr(raykqi, name)]
    assert missing == []
    assert list(raykqi.__all__) == sorted(set(raykqi.__all__))


def test_a_public_module_says_what_it_offers() -> None:
    wrong = {str(path): found for path in PUBLIC if (found := wrong_offer(path))}
    assert wrong == {}


def wrong_offer(path: Path) -> list[str]:
    """The names that a module offers and does not define; each module has one literal list of them."""
    declared = [
        ast.literal_eval(node.value)
        for node in parsed(path).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    if len(declared) != 1:
        return ["define __all__ once, as a literal list"]
    defined = vars(importlib.import_module(".".join(path.with_suffix("").parts)))
    return [name for name in declared[0] if name not in defined]
