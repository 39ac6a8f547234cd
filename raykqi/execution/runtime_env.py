"""Environments that plans ask for by `runtime_env`: packages by pip or uv, made once per node and content.

Each lies in `<cache>/environments/<hash>`, beside it a lock that its maker holds; one without the mark
that it is finished was left behind half made, and is thrown away.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
from blake3 import blake3

from raykqi.errors import InvalidInput, RaykqiError
from raykqi.execution.folders import remove_folder
from raykqi.execution.launchers.spawning import SYSTEM_PATH
from raykqi.execution.stopping import Stopping
from raykqi.execution.waiting import wait_for_lock

__all__ = ["SetUpFailed", "environment_programs", "environment_variables"]

FINISHED = "finished"
LAST_LINES = 3
KNOWN = ("pip", "uv", "env_vars", "working_dir")


class SetUpFailed(RaykqiError):
    """The environment of a run could not be made; the message holds the last words of the tool."""


def environment_variables(wanted: Mapping[str, object]) -> dict[str, str]:
    """Its `env_vars`; anything that is not known here is refused by name."""
    for name in wanted:
        if name not in KNOWN:
            raise InvalidInput(f"runtime_env: {name!r} is not known here", hint=f"Known are {', '.join(KNOWN)}.")
    variables = wanted.get("env_vars") or {}
    if not isinstance(variables, Mapping):
        raise InvalidInput("runtime_env: env_vars is no mapping", hint="Write `env_vars: {NAME: value}`.")
    return {str(name): str(value) for name, value in variables.items()}


def environment_programs(
    wanted: Mapping[str, object], *, cache: Path, env: Mapping[str, str], stopping: Stopping
) -> Path | None:
    """The folder of its programs, made if need be; None when no packages are asked for."""
    tools = [tool for tool in ("pip", "uv") if wanted.get(tool)]
    if not tools:
        return None
    if len(tools) > 1:
        raise InvalidInput("runtime_env asks for pip and for uv", hint="Use one of the two.")
    packages = package_list(tools[0], wanted[tools[0]])
    folder = cache / "environments" / content_hash(tools[0], packages)
    with locked(folder.with_suffix(".lock"), stopping):
        if not (folder / FINISHED).exists():
            remove_folder(folder)
            try:
                make(folder, tools[0], packages, env, stopping)
            except BaseException:
                remove_folder(folder)
                raise
        os.utime(folder)
    return folder / "bin"


def package_list(tool: str, wanted: object) -> tuple[str, ...]:
    if isinstance(wanted, Mapping):
        wanted = wanted.get("packages")
    if not isinstance(wanted, list | tuple) or not all(isinstance(each, str) for each in wanted):
        raise InvalidInput(f"runtime_env: {tool} is no list of packages", hint=f"Write `{tool}: [numpy, pandas]`.")
    return tuple(wanted)


def content_hash(tool: str, packages: Sequence[str]) -> str:
    same = [tool, sys.version, sys.prefix, *packages]
    return blake3(msgspec.json.encode(same)).hexdigest()[:32]


def make(folder: Path, tool: str, packages: Sequence[str], env: Mapping[str, str], stopping: Stopping) -> None:
    """Packages of the node's own Python are seen too, behind those that are installed here."""
    env = {"PATH": SYSTEM_PATH, **env}
    run([sys.executable, "-m", "venv", "--without-pip", str(folder)], env, stopping)
    python = folder / "bin" / "python"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    places = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    node = "\n".join(f"import site; site.addsitedir({place!r})" for place in places)
    (folder / "lib" / version / "site-packages" / "node.pth").write_text(node + "\n")
    uv = shutil.which("uv", path=f"{os.path.dirname(sys.executable)}:{env['PATH']}") if tool == "uv" else None
    installer = [uv, "pip", "install", "--python", str(python)] if uv else [str(python), "-m", "pip", "install"]
    run([*installer, *packages], env, stopping)
    (folder / FINISHED).touch()


def run(command: Sequence[str], env: Mapping[str, str], stopping: Stopping) -> None:
    process = subprocess.Popen(
        command, env=dict(env), cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    with stopping.telling(process.kill):
        said, _ = process.communicate()
    stopping.check()
    if process.returncode:
        lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
        raise SetUpFailed(
            f"its environment could not be made: {' | '.join(lines[-LAST_LINES:])}",
            hint="Correct the packages in the plan's runtime_env.",
        )


@contextlib.contextmanager
def locked(file: Path, stopping: Stopping) -> Iterator[None]:
    """Waits for another run that makes the same environment."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = wait_for_lock(file, fcntl.LOCK_EX, stopping.check)
    try:
        yield
    finally:
        os.close(lock)
