"""Preparing an attempt on a node: its folders, its inputs read-only in their places, its code and its environment."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from raykqi.domain.order import Order
from raykqi.execution.command import Names, base_environment, command_words, environment
from raykqi.execution.folders import Folders, folder_name
from raykqi.execution.inputs import SharedTrees, take_away_writing, write_private
from raykqi.execution.launchers import Job, Launcher, Mount, launcher_for
from raykqi.execution.runtime_env import environment_programs, environment_variables
from raykqi.execution.stopping import Interruptible, Stopping
from raykqi.execution.storing import Output
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store

__all__ = ["Prepared", "make_outputs", "prepare"]

FOR_COMMANDS = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class Prepared:
    launcher: Launcher
    job: Job


def make_outputs(order: Order, folders: Folders) -> list[Output]:
    """An empty folder for each output."""
    outputs = []
    for at, wanted in enumerate(order.outputs):
        folder = folders.outputs / folder_name(wanted.name, at)
        folder.mkdir(parents=True)
        outputs.append(Output(wanted.name, wanted.data, folder, str(folder)))
    return outputs


class _Preparation:
    def __init__(self, order: Order, folders: Folders, store: Store, shared: SharedTrees, settings: Settings) -> None:
        self.order = order
        self.folders = folders
        self.store = store
        self.shared = shared
        self.settings = settings
        self.mounts: list[Mount] = []

    def bring_input(self, tree: str, place: Path, seen: str, launcher: Launcher, progress: Interruptible) -> None:
        shared = self.shared.place(tree, progress) if launcher.protects else None
        if shared:
            place.mkdir(parents=True)
            self.mounts.append(Mount(shared, seen))
            return
        write_private(self.store, tree, place, self.settings, progress)
        if launcher.protects:
            self.mounts.append(Mount(place, seen))
        else:
            take_away_writing(place)

    def bring_code(self, tree: str, progress: Interruptible) -> None:
        """A copy of its own, so that the command may write beside its code."""
        shared = self.shared.place(tree, progress)
        if shared:
            shutil.copytree(shared, self.folders.code, symlinks=True, dirs_exist_ok=True)
        else:
            write_private(self.store, tree, self.folders.code, self.settings, progress)


def prepare(
    order: Order,
    outputs: list[Output],
    *,
    folders: Folders,
    store: Store,
    shared: SharedTrees,
    settings: Settings,
    stopping: Stopping,
    gpus: tuple[str, ...],
    log: int,
) -> tuple[Prepared, list[Output]]:
    """Everything up to the launch; returns the outputs with the paths by which the command knows them."""
    definition = order.definition
    launcher = launcher_for(definition.launcher)
    progress = Interruptible(stopping)
    work = _Preparation(order, folders, store, shared, settings)
    inputs = {}
    for at, wanted in enumerate(order.inputs):
        place = folders.inputs / folder_name(wanted.name, at)
        seen = inputs[wanted.name] = launcher.seen(wanted.path, place)
        if wanted.is_many:
            place.mkdir(parents=True)
            work.mounts.append(Mount(place, seen))
            for each in wanted.trees:
                work.bring_input(each.tree, place / each.data, f"{seen}/{each.data}", launcher, progress)
        else:
            (tree,) = wanted.trees
            work.bring_input(tree.tree, place, seen, launcher, progress)
    known = []
    for output, named in zip(outputs, order.outputs, strict=True):
        seen = launcher.seen(named.path, output.folder)
        known.append(Output(output.name, output.data, output.folder, seen))
        work.mounts.append(Mount(output.folder, seen, writable=True))
    if definition.code:
        work.bring_code(definition.code.tree, progress)
    variables = environment_variables(definition.runtime_env)
    given = dict(settings.node_env)
    programs = environment_programs(definition.runtime_env, cache=settings.cache_dir, env=given, stopping=stopping)
    own = {place: launcher.seen("", place) for place in (folders.code, folders.home, folders.progress)}
    work.mounts += [Mount(place, seen, writable=True) for place, seen in own.items()]
    names = Names.of(inputs, {output.name: output.seen for output in known}, order.params)
    is_sandbox = definition.launcher == "sandbox"
    base = base_environment(
        {name: given[name] for name in FOR_COMMANDS if name in given},
        own[folders.home],
        "/tmp" if is_sandbox else str(folders.temporary),
    )
    env = environment(
        order,
        names,
        base=base,
        programs=str(programs or ""),
        more=variables,
        gpus=gpus,
        progress=f"{own[folders.progress]}/progress",
    )
    root = store.local_path("blobs")
    hidden = [settings.cache_dir, folders.root.parent, *([root.parent] if root else [])]
    job = Job(
        argv=command_words(definition, names),
        env=env,
        cwd=own[folders.code if definition.code else folders.home],
        log=log,
        mounts=tuple(work.mounts),
        temporary=folders.temporary,
        hidden=tuple(hidden),
        shown=(programs.parent,) if programs else (),
        devices=bool(gpus),
        memory=order.resources.memory,
        name=f"raykqi-{order.attempt.run}-{order.attempt.number}",
    )
    return Prepared(launcher, job), known
