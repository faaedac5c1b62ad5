"""The robot on a page in the browser, or in a film.

Try it: reachy-kit view --task track --policy expert
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from reachy_kit.runtime.behaviours.hold import HoldPolicy
from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.inference.background_policy import infer_beside
from reachy_kit.runtime.perception.targets.target_registry import BALL
from reachy_kit.runtime.watchdogs.guarded_rollout import guarded_rollout
from reachy_kit.workflows.inputs.guarded_session import guard, stoppable_session
from reachy_kit.workflows.inputs.policy_arguments import SCRIPTED_HZ, LoadedPolicy, load_policy, takes_images
from reachy_kit.workflows.inputs.reporter import SILENT, Reporter
from reachy_kit.workflows.inputs.session import HARDWARE_SECONDS, SIMULATED, Session, simulated_variant

if TYPE_CHECKING:
    from reachy_sim.tasks.variants import Variant
    from reachy_sim.view.live import LiveView

NO_POLICY = "none"
"""The argument for no policy: only a person drives."""


@dataclass(frozen=True)
class ViewedRobot:
    """Robot, task and policy to show."""

    task: str = "track"
    """Name of the task, or its file; a real robot needs none."""
    policy: str = "expert"
    """Argument that names the policy, or ``none``."""
    robot: str = "sim"
    """``sim``, ``daemon`` or HOST[:PORT]."""
    perception: str = "auto"
    """``auto``, ``geometry`` or ``detector``."""
    variant: str = "training"
    """Variant of the task."""
    seed: int = 0
    """Seed of the first initial state in a simulation."""
    target: str = BALL
    """What is looked at, as ``--target`` gives it."""


def film(
    shown: ViewedRobot, out: Path, *, seconds: float | None = None, width: int = 640, reporter: Reporter = SILENT
) -> Path:
    """Film an episode.

    Args:
        shown: what to film.
        out: the film, .mp4 or .gif.
        seconds: length; None for the task's own, on hardware ``HARDWARE_SECONDS``.
        width: px.
        reporter: shows the progress.

    Returns:
        The film's path.

    Raises:
        WrongUseError: an argument does not exist or does not fit.
        NoRobotError: no robot answers.
        KitError: the film cannot be written, or a watchdog has ended the episode.
    """
    from reachy_sim.view.film import FilmConfig, FilmRecorder, check_format, write_film
    from reachy_sim.view.task_info import tolerance_of

    check_format(out)
    config, variant = FilmConfig(width), simulated_variant(shown.robot, shown.task, shown.variant)
    length = seconds or (variant.task.seconds if variant else HARDWARE_SECONDS)
    with (
        contextlib.ExitStack() as when_at_rest,
        stoppable_session(
            shown.robot, variant, shown.perception, camera=_has_camera(shown), target=shown.target, reporter=reporter
        ) as session,
    ):
        loaded = _load(shown, session, variant, when_at_rest)
        recorder = FilmRecorder(session.world, config.fps)
        with reporter.working(f"{loaded.label} on {session.robot.name} for {length:g} s"):
            guarded = guard(loaded.policy, session, reporter.note)
            guarded_rollout(
                session.robot,
                guarded,
                seconds=length,
                policy_hz=loaded.policy_hz,
                seed=shown.seed,
                perception=session.perception,
                world=session.world,
                subscribers=[recorder],
            )
            guarded.raise_trouble()
        with reporter.progress(f"drawing {out.name}", total=len(recorder.snapshots)) as advance:
            write_film(out, recorder.snapshots, config, tolerance_of(variant.task if variant else None), advance)
    return out


def watch(
    shown: ViewedRobot,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    paused: bool = False,
    on_open: "Callable[[LiveView], None]" = lambda live: None,
    reporter: Reporter = SILENT,
) -> None:
    """Show the robot on a page until the process is interrupted.

    Args:
        shown: what to show; a person on the page may choose another variant.
        host: 0.0.0.0 lets other computers in, without a password.
        port: of the page; 0 takes any free one.
        paused: begin with a pause.
        on_open: called once the page is there.
        reporter: receives what the watchdogs notice.

    Raises:
        WrongUseError: an argument does not exist or does not fit.
        NoRobotError: no robot answers.
        KitError: the port is in use, or a watchdog has ended an episode.
    """
    from reachy_sim.view.live import LiveView, ViewConfig

    first = simulated_variant(shown.robot, shown.task, shown.variant)
    config = ViewConfig(host, port, shown.robot, shown.seed, shown.variant, paused)
    with LiveView(config, first.task if first else None) as live:
        on_open(live)
        while True:  # another variant needs another session
            name = live.variant
            variant = simulated_variant(shown.robot, shown.task, name)
            camera = _has_camera(shown)
            with (
                contextlib.ExitStack() as when_at_rest,
                stoppable_session(
                    shown.robot,
                    variant,
                    shown.perception,
                    camera=camera,
                    realtime=True,
                    target=shown.target,
                    reporter=reporter,
                ) as session,
            ):
                loaded = _load(shown, session, variant, when_at_rest)
                live.run(
                    session.robot,
                    None if shown.policy == NO_POLICY else loaded.policy,
                    loaded.label,
                    variant=name,
                    policy_hz=loaded.policy_hz,
                    perception=session.perception,
                    world=session.world,
                    guard=partial(guard, session=session, note=reporter.note),
                )


def _has_camera(shown: ViewedRobot) -> bool:
    """Whether to show the head camera: a simulated one only where it can be drawn, unless the policy needs it."""
    from reachy_sim.gl_backend import can_draw

    if shown.robot not in SIMULATED or can_draw():
        return True
    return shown.policy != NO_POLICY and takes_images(shown.policy)


def _load(
    shown: ViewedRobot, session: Session, variant: "Variant | None", when_at_rest: contextlib.ExitStack
) -> LoadedPolicy:
    if shown.policy == NO_POLICY:
        return LoadedPolicy(NO_POLICY, HoldPolicy(), SCRIPTED_HZ, None)
    task = variant.task.name if variant else shown.task
    loaded = load_policy(shown.policy, session.perception.names, task)
    if variant is not None and loaded.task not in (None, task):
        raise WrongUseError(f"{shown.policy} was trained for {loaded.task}, not for {task}: give --task {loaded.task}")
    if session.wall_clock:
        return replace(loaded, policy=infer_beside(loaded.policy, loaded.policy_hz, when_at_rest))
    return loaded
