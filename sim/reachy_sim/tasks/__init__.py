"""The tasks by name, each in a file of its own."""

from reachy_kit.errors import WrongUseError
from reachy_sim.tasks.gaze import GazeTask
from reachy_sim.tasks.look_at import LOOK_AT
from reachy_sim.tasks.track import TRACK

TASKS = {task.name: task for task in (LOOK_AT, TRACK)}


def task_by_name(name: str) -> GazeTask:
    """The task of that name.

    Raises:
        WrongUseError: there is none.
    """
    if name not in TASKS:
        raise WrongUseError(f"no task is called {name!r}; there are {', '.join(TASKS)}")
    return TASKS[name]
