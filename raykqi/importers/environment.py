"""`env` and `runtime_env`: what a plan's program finds around it."""

from __future__ import annotations

import re
from pathlib import Path

from raykqi.importers.field import Field
from raykqi.importers.places import Places, Where, quote
from raykqi.importers.yaml_tree import MOST_BYTES, decode

__all__ = ["Around", "check_env", "read_env", "read_runtime_env"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
RESERVED = ("RAY_", "RAYKQI_")
INSTALLERS = ("pip", "uv")
ELSEWHERE = {
    "conda": "Environments are made by pip or uv; bring conda in an image.",
    "py_modules": "Name the folder as `source`: it is kept with the plan.",
    "container": "Use `image`.",
    "image_uri": "Use `image`.",
    "config": "Time limits of the set-up are those of the workspace.",
    "py_executable": "Write the interpreter into `command`.",
}


class Around:
    """What `runtime_env` said: what to install, more variables, and a folder that is really a `source`."""

    def __init__(self) -> None:
        self.install: dict[str, object] = {}
        self.env: dict[str, str] = {}
        self.working_dir: Field | None = None


def read_env(field: Field) -> dict[str, str]:
    env = {}
    for name, entry in field.named(what="env").items():
        if entry.value is None:
            entry.value = ""
        if isinstance(entry.value, bool):
            entry.refuse(f"{entry.value} is no text", hint="Write 'true' or 'false', in quotes.")
        env[name] = entry.text()
    return env


def read_runtime_env(field: Field, folder: Path | None) -> Around:
    """`folder` is where a name of a requirements file counts from."""
    around = Around()
    known = (*INSTALLERS, "working_dir", "env_vars")
    for key, reason in ELSEWHERE.items():
        if isinstance(field.value, dict) and key in field.value:
            wrong = field.named(what="runtime_env")[key]
            wrong.refuse(f"runtime_env takes no {key!r}", hint=reason)
    entries = field.entries(known, what="runtime_env")
    installers = [name for name in INSTALLERS if name in entries]
    if len(installers) > 1:
        field.refuse("pip and uv cannot both make the environment", hint="Keep one of them.")
    for name in installers:
        if wanted := _requirements(entries[name], folder):
            around.install[name] = wanted
    if "env_vars" in entries:
        around.env = read_env(entries["env_vars"])
    around.working_dir = entries.get("working_dir")
    return around


def check_env(env: dict[str, str], places: Places, where: Where = ("env",)) -> None:
    for name, value in env.items():
        at = (*where, name)
        if not _NAME.match(name):
            hint = "Use letters, digits and '_', and no digit first."
            places.refuse(at, f"{quote(name)} is no name of an environment variable", hint=hint)
        if name.upper().startswith(RESERVED):
            places.refuse(at, f"variables {name.split('_')[0]}_… are set by the system alone", hint="Rename it.")
        if name == "CUDA_VISIBLE_DEVICES":
            places.refuse(at, f"{name} follows from the GPUs of a run", hint="Set `gpu` in the resources.")
        if "\0" in value:
            places.refuse(at, f"the value of {name} holds NUL", hint="Remove the NUL character.")


def _requirements(field: Field, folder: Path | None) -> list[str]:
    if isinstance(field.value, str) and folder is not None:
        lines = _lines_of(field, folder / field.text())
    else:
        lines = list(field.texts(example="[numpy, onnx==1.19.0], or the name of a requirements file"))
    wanted = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    for line in wanted:
        if "\n" in line or line.split()[0] in ("-r", "-c", "-e") or line.startswith(("--requirement", "--editable")):
            field.refuse(f"{quote(line)} is no single requirement", hint="List each requirement itself.")
    return wanted


def _lines_of(field: Field, file: Path) -> list[str]:
    hint = "Name a file beside the plan, or list the requirements."
    try:
        if file.exists() and not file.is_file():
            field.refuse(f"{quote(str(file))} is no file", hint=hint)
        with file.open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        field.refuse(f"{quote(str(file))} cannot be read: {getattr(error, 'strerror', error)}", hint=hint)
    return decode(content, str(file)).splitlines()
