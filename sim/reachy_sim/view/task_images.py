"""Image of a task: four instants of the expert's first episode side by side, as sim/README.md shows them.

Try it: .venv/bin/python -m reachy_sim.view.task_images track --out runs/track.png
"""

import argparse
from pathlib import Path

import imageio.v3 as imageio
import numpy as np

from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.interface import Array, Episode, Image, Step
from reachy_kit.runtime.rollout import rollout
from reachy_sim.rendering.robot_renderer import robot_images
from reachy_sim.robot import SimRobot, SimRobotConfig
from reachy_sim.tasks import single_expert_policy, variant_by_name
from reachy_sim.world import GeometricPerception, SimWorld

_HZ = 25
"""Decisions per second."""
_INSTANTS, _SIZE = 4, (480, 300)
"""Number of images side by side, and the width and height of each, px."""


class _StateRecorder:
    """Subscriber that keeps the states and the target of every step."""

    def __init__(self) -> None:
        self.states: list[Array] = []
        self.targets: list[Array] = []

    def on_episode_start(self, seed: int) -> None:
        """Do nothing."""

    def on_step(self, step: Step) -> None:
        """Keep state and target."""
        assert step.truth is not None, "the world knows the truth"
        self.states.append(step.observation.state)
        self.targets.append(step.truth.target)

    def on_episode_end(self, episode: Episode) -> None:
        """Do nothing."""


def draw_task(task: str, every: float | None = None) -> Image:
    """Draw four instants of the expert's episode of seed 0 on the kinematic tier.

    Args:
        task: its name, or the path of its file.
        every: time between instants, s, from the middle of the episode; None spreads them over the whole episode.

    Returns:
        RGB uint8, the instants side by side.

    Raises:
        WrongUseError: the task does not exist.
    """
    variant, recorder = variant_by_name(task), _StateRecorder()
    world = SimWorld(variant)
    rollout(
        SimRobot(SimRobotConfig(tier="kinematic"), actuators=world.actuators, watch=world.append_pose),
        single_expert_policy(task, _HZ),
        seconds=variant.task.seconds,
        policy_hz=_HZ,
        perception=GeometricPerception(world),
        world=world,
        subscribers=[recorder],
    )
    steps = len(recorder.states)
    if every is None:
        instants = np.linspace(0, steps - 1, _INSTANTS).astype(int).tolist()
    else:
        instants = [steps // 2 + round(_HZ * every) * index for index in range(_INSTANTS)]
    images = robot_images(
        [recorder.states[step] for step in instants], [recorder.targets[step] for step in instants], *_SIZE
    )
    return np.concatenate(images, axis=1)


def main() -> None:
    """Draw four instants of the expert's episode. For dance: --every 0.16."""
    parser = argparse.ArgumentParser(description=main.__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("task", help="its name, or the path of its file")
    parser.add_argument("--out", type=Path, default=Path("runs/task.png"), help="the PNG to write")
    parser.add_argument("--every", type=float, help="seconds between the instants; else the whole episode")
    options = parser.parse_args()
    if options.every is not None and not options.every >= 1 / _HZ:
        parser.error(f"--every must be {1 / _HZ} or more")
    try:
        image = draw_task(options.task, options.every)
    except KitError as error:
        parser.exit(error.exit_code, f"error: {error}\n")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    imageio.imwrite(options.out, image)
    print(f"image: {options.out}")


if __name__ == "__main__":
    main()
