"""``reachy-kit view``: the robot live in a browser, or a film of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reachy_kit.cli import show
from reachy_kit.cli.robots import PerceptionOption, RobotOption, Session, TaskOption, open_session
from reachy_kit.runtime.errors import WrongUseError

if TYPE_CHECKING:
    from reachy_kit.cli.policies import LoadedPolicy
    from reachy_sim.tasks.variants import Variant
    from reachy_sim.view.film import FilmConfig

NO_POLICY = "none"
HZ = 25
"""Decisions a second where no policy says how many."""
HARDWARE_SECONDS = 10.0
"""Of a film of a real robot: it has no task with a length of its own."""


def view(
    task: TaskOption = "track",
    policy: Annotated[
        str,
        typer.Option(
            "--policy",
            metavar="expert|random|oracle|none|RUN|BUNDLE",
            help="Who drives until you take a slider; none: nobody else.",
        ),
    ] = "expert",
    robot: RobotOption = "sim",
    perception: PerceptionOption = "auto",
    variant: Annotated[str | None, typer.Option("--variant", help="Variant of the task.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="First initial state in a simulation.")] = 0,
    paused: Annotated[bool, typer.Option("--paused", help="Begin with a pause.")] = False,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Where the page is; 0 takes any free one.")
    ] = 8080,
    host: Annotated[
        str, typer.Option("--host", help="0.0.0.0 lets other computers in. There is no password.")
    ] = "127.0.0.1",
    browser: Annotated[bool, typer.Option("--open/--no-browser", help="Open the page in the browser.")] = True,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.mp4|FILE.gif", help="Make a film instead, without a browser.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0.1, help="Length of the film; the task's own if not given.")
    ] = None,
    width: Annotated[int, typer.Option("--width", min=160, max=1920, help="Pixels of the film.")] = 640,
) -> None:
    """Watch the robot in a browser: its head camera, the task's error and reward; nine sliders, pause, step and reset.

    Example: reachy-kit view --task track --policy expert
    """
    from reachy_sim.view.task_info import TRAINING

    chosen = _variant(task, robot, variant or TRAINING)
    task = chosen.task.name if chosen else task
    if out is not None:
        from reachy_sim.view.film import FilmConfig, check_format

        check_format(out)
        with open_session(robot, chosen, perception) as stage:
            _film(stage, _load(policy, stage, task), chosen, seed, seconds, out, FilmConfig(width))
        show.result(f"film: {out}")
        return
    from reachy_sim.view.live import LiveView, ViewConfig

    with LiveView(
        ViewConfig(host, port, robot, seed, variant or TRAINING, paused), chosen.task if chosen else None
    ) as live:
        show.note(live.welcome)
        if browser:
            live.open_browser()
        while True:  # another variant needs another session
            name = live.variant
            with open_session(robot, _variant(task, robot, name), perception, realtime=True) as stage:
                loaded = _load(policy, stage, task)
                live.run(
                    stage.robot,
                    None if policy == NO_POLICY else loaded.policy,
                    loaded.label,
                    variant=name,
                    policy_hz=loaded.policy_hz,
                    perception=stage.perception,
                    world=stage.world,
                )


def _variant(task: str, robot: str, name: str) -> "Variant | None":
    """The task under its conditions; hardware has a world of its own."""
    if robot not in ("sim", "daemon"):
        return None
    from reachy_sim.tasks import variant_by_name

    return variant_by_name(task, name)


def _load(policy: str, stage: Session, task: str) -> "LoadedPolicy":
    from reachy_kit.cli.policies import LoadedPolicy, load

    if policy == NO_POLICY:
        from reachy_kit.runtime.behaviours.hold import HoldPolicy

        return LoadedPolicy(NO_POLICY, HoldPolicy(), HZ, None)
    loaded = load(policy, stage.perception.names, task)
    if stage.world is not None and loaded.task not in (None, task):
        raise WrongUseError(f"{policy} was trained for {loaded.task}, not for {task}")
    return loaded


def _film(
    stage: Session,
    loaded: "LoadedPolicy",
    variant: "Variant | None",
    seed: int,
    seconds: float | None,
    out: Path,
    config: "FilmConfig",
) -> None:
    from reachy_kit.runtime.rollout import rollout
    from reachy_sim.view.film import FilmRecorder, write_film
    from reachy_sim.view.task_info import tolerance_of

    length = seconds or (variant.task.seconds if variant else HARDWARE_SECONDS)
    recorder = FilmRecorder(stage.world, config.fps)
    with show.working(f"{loaded.label} on {stage.robot.name} for {length:g} s"):
        rollout(
            stage.robot,
            loaded.policy,
            seconds=length,
            policy_hz=loaded.policy_hz,
            seed=seed,
            perception=stage.perception,
            world=stage.world,
            subscribers=[recorder],
        )
    with show.progress(f"drawing {out.name}", total=len(recorder.snapshots)) as advance:
        write_film(out, recorder.snapshots, config, tolerance_of(variant.task if variant else None), advance)
