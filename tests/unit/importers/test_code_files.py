"""Which files are a function's code."""

from __future__ import annotations

from pathlib import Path

import pytest

from raykqi.errors import InvalidInput
from raykqi.importers.code_files import collect_code


def lay(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


def test_a_package_is_captured_whole_with_its_data_and_without_what_is_compiled_or_hidden(tmp_path: Path) -> None:
    lay(
        tmp_path,
        {
            "lab/__init__.py": "",
            "lab/steps/__init__.py": "",
            "lab/steps/train.py": "from lab.steps import other\nimport shared, torch\n",
            "lab/設定.json": "{}",
            "lab/__pycache__/x.pyc": "",
            "lab/.git/HEAD": "",
            "shared.py": "from tools.deep import x\n",
            "tools/deep.py": "import lab\n",
            "notes.py": "",
        },
    )

    code = collect_code(tmp_path / "lab/steps/train.py", "lab.steps.train")

    assert (code.root, code.module) == (tmp_path, "lab.steps.train")
    assert code.files == (
        "lab/__init__.py",
        "lab/steps/__init__.py",
        "lab/steps/train.py",
        "lab/設定.json",
        "shared.py",
        "tools/deep.py",
    )


def test_a_module_run_by_its_file_keeps_the_package_it_is_in(tmp_path: Path) -> None:
    lay(tmp_path, {"lab/__init__.py": "", "lab/train.py": ""})

    assert collect_code(tmp_path / "lab/train.py", "__main__") == (
        tmp_path,
        "lab.train",
        ("lab/__init__.py", "lab/train.py"),
    )


def test_a_package_itself_may_hold_the_function(tmp_path: Path) -> None:
    lay(tmp_path, {"lab/__init__.py": "", "lab/x.py": ""})

    code = collect_code(tmp_path / "lab/__init__.py", "lab")

    assert (code.root, code.module, code.files) == (tmp_path, "lab", ("lab/__init__.py", "lab/x.py"))


def test_raykqi_itself_is_never_brought_along(tmp_path: Path) -> None:
    lay(tmp_path, {"raykqi/__init__.py": "", "train.py": "import raykqi\n"})

    assert collect_code(tmp_path / "train.py", "train").files == ("train.py",)


def test_a_file_with_a_dot_in_its_name_cannot_be_imported(tmp_path: Path) -> None:
    lay(tmp_path, {"train.v2.py": ""})

    with pytest.raises(InvalidInput, match=r"no worker can import a file called 'train.v2.py'"):
        collect_code(tmp_path / "train.v2.py", "__main__")


def test_imports_that_go_round_or_cannot_be_read_end(tmp_path: Path) -> None:
    lay(tmp_path, {"a.py": "import b\n", "b.py": "import a, c\n", "c.py": "this is (not python\n"})

    assert collect_code(tmp_path / "a.py", "a").files == ("a.py", "b.py", "c.py")


def test_an_installed_package_does_not_bring_what_is_installed_beside_it(tmp_path: Path) -> None:
    root = tmp_path / "site-packages"
    lay(root, {"lab/__init__.py": "import torch\n", "torch/__init__.py": ""})

    assert collect_code(root / "lab/__init__.py", "lab").files == ("lab/__init__.py",)
