"""A plan on folders right here: no workspace, nothing stored, but launched just as it would be on a node."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec

from raykqi.domain.order import Attempt, Order
from raykqi.domain.plan import Definition, Scalar
from raykqi.domain.resources import Resources
from raykqi.domain.run import Exit
from raykqi.errors import InvalidInput
from raykqi.execution.command import Names, base_environment, command_words, environment
from raykqi.execution.ending import TIMED_OUT, explain_end, explain_failure
from raykqi.execution.folders import Folders, remove_folder
from raykqi.execution.launchers import Job, Mount, launcher_for
from raykqi.execution.launchers.launched import Launched
from raykqi.execution.preparing import FOR_COMMANDS
from raykqi.execution.runtime_env import environment_programs, environment_variables
from raykqi.execution.stopping import Stopping
from raykqi.settings import Settings

__all__ = ["run_here"]

PIECE = 1 << 16


def run_here(
    definition: Definition,
    inputs: Mapping[str, Path],
    outputs: Mapping[str, Path],
    params: Mapping[str, Scalar],
    settings: Settings,
    *,
    code: Path | None = None,
    say: Callable[[bytes], object] = lambda _: None,
    resources: Resources | None = None,
    gpus: tuple[str, ...] = (),
) -> Exit:
    """How the command ended. `code` is its working directory as it is; what it prints goes to `say` as it comes."""
    root = Path(tempfile.mkdtemp(prefix="raykqi-"))
    try:
        folders = Folders(root / "here")
        folders.make()
        job = _job(root, definition, inputs, outputs, params, settings, code, folders, resources or Resources(), gpus)
        return _attended(definition, job, folders, say)
    except Exception as error:
        return explain_failure(error)
    finally:
        remove_folder(root)


def _job(
    root: Path,
    definition: Definition,
    inputs: Mapping[str, Path],
    outputs: Mapping[str, Path],
    params: Mapping[str, Scalar],
    settings: Settings,
    code: Path | None,
    folders: Folders,
    resources: Resources,
    gpus: tuple[str, ...],
) -> Job:
    launcher = launcher_for(definition.launcher)
    mounts, seen_inputs, seen_outputs = [], {}, {}
    for wanted in definition.inputs:
        place = _given(inputs, wanted.name, "input")
        seen_inputs[wanted.name] = launcher.seen(wanted.path, place)
        mounts.append(Mount(place, seen_inputs[wanted.name]))
    for output in definition.outputs:
        place = _given(outputs, output.name, "output")
        place.mkdir(parents=True, exist_ok=True)
        seen_outputs[output.name] = launcher.seen(output.path, place)
        mounts.append(Mount(place, seen_outputs[output.name], writable=True))
    own = {place: launcher.seen("", place) for place in (folders.home, folders.progress)}
    work = code.absolute() if code else None
    cwd = launcher.seen("", work) if work else own[folders.home]
    if work:
        mounts.append(Mount(work, cwd, writable=True))
    mounts += [Mount(place, seen, writable=True) for place, seen in own.items()]
    names = Names.of(seen_inputs, seen_outputs, params)
    given = dict(settings.node_env)
    wanted_env = definition.runtime_env
    programs = environment_programs(wanted_env, cache=settings.cache_dir, env=given, stopping=Stopping())
    is_sandbox = definition.launcher == "sandbox"
    base = base_environment(
        {name: given[name] for name in FOR_COMMANDS if name in given},
        own[folders.home],
        "/tmp" if is_sandbox else str(folders.temporary),
    )
    order = Order(Attempt(f"here-{root.name}", 1), "here", "default", "", definition, resources, (), (), dict(params))
    env = environment(
        order,
        names,
        base=base,
        programs=str(programs or ""),
        more=environment_variables(wanted_env),
        gpus=gpus,
        progress=f"{own[folders.progress]}/progress",
    )
    argv: tuple[str, ...]
    if definition.function:
        python = str(programs / "python") if programs else sys.executable
        argv = (python, "-m", "raykqi.execution.function_call", *_function_words(definition, names, params))
    else:
        argv = command_words(definition, names)
    return Job(
        argv=argv,
        env=env,
        cwd=cwd,
        log=-1,
        mounts=tuple(mounts),
        temporary=folders.temporary,
        shown=(programs.parent,) if programs else (),
        devices=bool(gpus),
        memory=resources.memory,
        name=f"raykqi-here-{root.name}",
    )


def _function_words(definition: Definition, names: Names, params: Mapping[str, Scalar]) -> tuple[str, str]:
    arguments = {"paths": {**names.inputs, **names.outputs}, "params": dict(params)}
    return definition.function, msgspec.json.encode(arguments).decode()


def _given(folders: Mapping[str, Path], name: str, kind: str) -> Path:
    if name not in folders:
        raise InvalidInput(
            f"no folder was given for the {kind} {name!r}", hint=f"Give one for each {kind} of the plan."
        )
    place = folders[name].absolute()
    if kind == "input" and not place.is_dir():
        raise InvalidInput(f"{place} is no folder", hint=f"Give the folder that the input {name!r} is to be.")
    return place


def _attended(definition: Definition, job: Job, folders: Folders, say: Callable[[bytes], object]) -> Exit:
    """The end of the output comes when no process of the command is left."""
    reader, writer = os.pipe()
    try:
        launched = launcher_for(definition.launcher).launch(replace(job, log=writer))
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    telling = threading.Thread(target=_tell, args=(reader, folders.log, say), daemon=True)
    telling.start()
    try:
        exit_ = _waited(definition, launched)
    except BaseException:
        launched.kill()
        launched.wait(None)
        raise
    finally:
        telling.join()
    code = launched.code or 0
    end = exit_ or explain_end(code, launched, log=folders.log, outputs=(), memory=job.memory)
    launched.close()
    return end


def _waited(definition: Definition, launched: Launched) -> Exit | None:
    """An end that is not the command's own, if its time was over."""
    if launched.wait(definition.timeout or None) is not None:
        return None
    launched.terminate()
    if launched.wait(definition.grace) is None:
        launched.kill()
        launched.wait(None)
    return Exit(TIMED_OUT, f"timed out after {definition.timeout:g} s")


def _tell(reader: int, log: Path, say: Callable[[bytes], object]) -> None:
    with open(reader, "rb", buffering=0) as output, open(log, "wb", buffering=0) as kept:
        while piece := output.read(PIECE):
            kept.write(piece)
            say(piece)
