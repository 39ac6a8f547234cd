"""Plan files to begin with: from nothing, a command line or an image; with comments, and read by `read_plan`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO

from raykqi.errors import InvalidInput
from raykqi.importers.image_archive import read_image_archive
from raykqi.importers.paths import OF_THE_SYSTEM, derive_names
from raykqi.importers.writing import write_description

__all__ = ["command_template", "image_template", "scratch_template", "template_of"]

INPUT_WORDS, OUTPUT_WORDS = ("in", "input", "inputs"), ("out", "output", "outputs")
FALLBACK_IMAGE = "registry.example/name:v1"
_PATH = re.compile(r"(?<![\w./-])/(?!/)[\w.@%+/-]+")
NOTES = {
    "image": "What to run: an image with its tag. `entrypoint` and `args` replace those of the image.",
    "command": "What to run. {inputs.NAME}, {outputs.NAME} and {params.NAME} stand for the paths and values of a run.",
    "function": "What to run: module:function. Inputs and outputs are given to it as paths, params as values.",
    "source": "Where the code is, counted from this file, or git+https://…@ref. It is kept with the plan.",
    "inputs": "What it takes. Data that has all the tags of an input makes it run; take: each, latest or all.",
    "outputs": "What it makes. Each output becomes data with these tags, which may match inputs of other plans.",
    "log": "What it prints, kept as data with these tags. Leave it out to keep the log with the run alone.",
    "params": "Values to choose when the plan is applied: --param NAME=VALUE.",
    "resources": "What a run takes of a node: cpu, memory, gpu (0.25 shares one), or any other resource.",
    "active": "false: runs are made and wait until the plan is activated.",
}
MORE = """
# More keys: name, env, runtime_env (pip or uv), launcher (process, sandbox, container), on_node (may, prefer, must),
# retries, backoff, timeout, grace, priority, limits (running, pending), join, reuse, service_account, annotations.
"""


def scratch_template(image: str = "") -> str:
    return template_of({"image": image or FALLBACK_IMAGE}, *_mounts(()))


def command_template(words: Sequence[str], *, source: str = "") -> str:
    """Paths with a part `in` or `out` become inputs and outputs, and placeholders in the command."""
    if not words:
        raise InvalidInput("there is no command", hint="Write it after --, as in -- python train.py --data /in/dataset")
    inputs, outputs = _mounts(words)
    places = {mount["path"]: f"{{inputs.{mount['name']}}}" for mount in inputs}
    places |= {mount["path"]: f"{{outputs.{mount['name']}}}" for mount in outputs}
    command = [_PATH.sub(lambda found: _placed(found[0], places), word) for word in words]
    return template_of({"command": command, **({"source": source} if source else {})}, inputs, outputs)


def image_template(archive: BinaryIO, source: str, *, image: str = "") -> str:
    """From `docker save` or an OCI layout: paths in its command and its volumes become inputs and outputs."""
    facts = read_image_archive(archive, source, name=image)
    name = facts.name if ":" in facts.name.rpartition("/")[2] or "@" in facts.name else ""
    runs = " ".join((*facts.entrypoint, *facts.args))
    note = f"{NOTES['image']}\nThe image runs: {runs}" if runs else NOTES["image"]
    if not name:
        note += "\nThe archive does not tell its name: write it here."
    inputs, outputs = _mounts((*facts.entrypoint, *facts.args), facts.volumes)
    return template_of({"image": name or FALLBACK_IMAGE}, inputs, outputs, {"image": note})


def template_of(
    work: dict[str, Any],
    inputs: list[dict[str, Any]],
    outputs: list[dict[str, Any]],
    notes: dict[str, str] | None = None,
    told: dict[str, Any] | None = None,
) -> str:
    """`told` is in place of what is proposed; None leaves a key out."""
    description: dict[str, Any] = {
        **work,
        "inputs": inputs or [{"path": "/in/data", "tags": ["type:data"]}],
        "outputs": outputs,
        "log": {"tags": ["type:log"]},
        "resources": {"cpu": 1, "memory": "1Gi"},
        "active": True,
        **(told or {}),
    }
    description = {key: value for key, value in description.items() if value is not None}
    return write_description(description, {**NOTES, **(notes or {})}) + MORE


def _mounts(words: Iterable[str], folders: Iterable[str] = ()) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    paths = [path for word in words for path in map(_folder, _PATH.findall(word)) if path]
    paths += [folder.rstrip("/") for folder in folders]
    chosen = dict.fromkeys(path for path in paths if _kind(path) and "/../" not in f"{path}/")
    outermost = [path for path in chosen if not any(path.startswith(f"{other}/") for other in chosen)]
    if not outermost:
        outermost = ["/in/data", "/out/result"]
    return _named(outermost, "in"), _named(outermost, "out")


def _named(paths: list[str], kind: str) -> list[dict[str, Any]]:
    mine = [path for path in paths if _kind(path) == kind]
    names = derive_names(mine, ())
    return [
        {"name": name, "path": path, "tags": [f"type:{path.rpartition('/')[2]}"]}
        for name, path in zip(names, mine, strict=True)
    ]


def _folder(path: str) -> str:
    """The folder to mount: a name with an ending is a file in it."""
    clean = "/" + "/".join(part for part in path.split("/") if part not in ("", "."))
    head, _, last = clean.rpartition("/")
    return head if "." in last and _kind(head) else clean


def _kind(path: str) -> str:
    parts = path.split("/")[1:]
    if not parts or parts[0] in OF_THE_SYSTEM:
        return ""
    return next(("in" if part in INPUT_WORDS else "out" for part in parts if part in (*INPUT_WORDS, *OUTPUT_WORDS)), "")


def _placed(path: str, places: dict[str, str]) -> str:
    clean = "/" + "/".join(part for part in path.split("/") if part not in ("", "."))
    for mount, placeholder in places.items():
        if clean == mount or clean.startswith(f"{mount}/"):
            return placeholder + clean[len(mount) :]
    return path
