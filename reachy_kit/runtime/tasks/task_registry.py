"""Tasks by name: this kit's own, those of installed packages, and those in a file.

A task of this kit is a file ``NAME_spec.py`` beside this one. Another package adds one with an entry point of the group
``reachy_kit.tasks`` that has the task's name and leads to its ``TaskSpec``. A file of your own is given by its path and
holds one as ``SPEC``. Names are found without loading anything, so that a broken task does not stop the others.
"""

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from reachy_kit.runtime import tasks
from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.registries.kind_registry import installed, own_stems

if TYPE_CHECKING:
    from reachy_kit.runtime.interface import TaskSpec

ENTRY_POINTS = "reachy_kit.tasks"
_files: dict[Path, "TaskSpec"] = {}


def own_task_names() -> tuple[str, ...]:
    """Names of this kit's tasks."""
    return own_stems(tasks, "spec")


def task_names() -> tuple[str, ...]:
    """Names of all tasks: this kit's, those of installed packages, and those of loaded files."""
    own, loaded = own_task_names(), [spec.name for spec in _files.values()]
    return tuple(dict.fromkeys((*own, *sorted(installed(ENTRY_POINTS)), *loaded)))


def task_argument(name: str) -> str:
    """What ``--task`` takes in another process for a task's name: the name, or the file that the task is in."""
    file = next((str(path) for path, spec in _files.items() if spec.name == name), None)
    return file or (name if name in task_names() else "FILE.py")


def task_spec(task: str) -> "TaskSpec":
    """The light half of a task.

    Args:
        task: its name, or the path of a Python file that holds one as ``SPEC``.

    Raises:
        WrongUseError: the task does not exist or cannot be loaded.
    """
    if task.endswith(".py"):
        return load_task_file(Path(task))
    if task in own_task_names():
        return _checked(importlib.import_module(f"{tasks.__name__}.{task}_spec"), task)
    for spec in _files.values():
        if spec.name == task:
            return spec
    entry = installed(ENTRY_POINTS).get(task)
    if entry is None:
        raise WrongUseError(f"no task is called {task!r}; there are {', '.join(task_names())}, or a path to TASK.py")
    try:
        loaded = entry.load()
    except (Exception, SystemExit) as error:  # code of another package
        raise WrongUseError(f"the task {task} cannot be loaded from {entry.value}: {error!r}") from error
    spec = _checked(loaded, entry.value)
    if spec.name != task:
        raise WrongUseError(f"the entry point {task} leads to a task that is called {spec.name}: give both one name")
    return spec


def load_task_file(path: Path) -> "TaskSpec":
    """The task that a file holds as ``SPEC``; from now on it is known by its name too.

    Raises:
        WrongUseError: the file does not exist or cannot be run, or its task's name is taken.
    """
    path = path.resolve()
    if path in _files:
        return _files[path]
    if not path.is_file():
        raise WrongUseError(f"the task file {path} does not exist")
    # The name depends on the path alone, so that worker processes find what they receive.
    name = f"reachy_kit_task_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    blueprint = importlib.util.spec_from_file_location(name, path)
    assert blueprint is not None and blueprint.loader is not None, "the name ends in .py"
    sys.modules[name] = module = importlib.util.module_from_spec(blueprint)
    try:
        blueprint.loader.exec_module(module)
        spec = _checked(module, str(path))
        if spec.name in task_names():
            raise WrongUseError(f"{path}: another task is already called {spec.name}; choose another name")
    except WrongUseError:
        del sys.modules[name]
        raise
    except (Exception, SystemExit) as error:  # code of another package
        del sys.modules[name]
        raise WrongUseError(f"the task file {path} cannot be loaded: {error!r}") from error
    _files[path] = spec
    return spec


def task_files() -> tuple[Path, ...]:
    """Files that tasks were loaded from: what another process must load to know the same tasks."""
    return tuple(_files)


def known_tasks() -> Iterator["TaskSpec"]:
    """Every task that can be loaded; a broken one says why only when it is asked for by name."""
    for name in task_names():
        try:
            yield task_spec(name)
        except WrongUseError:
            continue


def _checked(holder: ModuleType | Any, place: str) -> "TaskSpec":
    from reachy_kit.runtime.interface import TaskSpec
    from reachy_kit.runtime.perception.features import features_by_name

    spec = getattr(holder, "SPEC", None) if isinstance(holder, ModuleType) else holder
    if not isinstance(spec, TaskSpec):
        raise WrongUseError(f"{place} does not hold a task: a module needs SPEC = TaskSpec(…)")
    features_by_name(spec.features)
    return spec
