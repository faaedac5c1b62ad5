"""Many episodes of an expert at once, each with its own seed: for thresholds and pictures.

Try it: python -m reachy_sim.trials track --episodes 200
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer

from reachy_kit.runtime.interface import Array
from reachy_kit.runtime.safety import CLASSROOM
from reachy_sim.envs.simulation import Simulation
from reachy_sim.tasks import simulated_task
from reachy_sim.tasks.expert import Expert
from reachy_sim.tasks.variants import Variant


@dataclass(frozen=True)
class Trial:
    """What N episodes came to."""

    success: npt.NDArray[np.bool_]
    """(N,)."""
    error: Array
    """(N, steps) rad, the task's error after each decision."""
    reward: Array
    """(N,) mean a step."""
    states: Array
    """(N, steps, 9) measured."""
    targets: Array
    """(N, steps, 3) m, base frame."""


def run_trial(
    policy: Expert,
    variant: Variant,
    seeds: npt.NDArray[np.uint64],
    *,
    tier: str = "physics",
    policy_hz: int = 25,
    randomization: str = "off",
) -> Trial:
    """One episode of each seed, the first that an environment of that seed has.

    Args:
        policy: of as many environments as there are seeds.
        variant: task and conditions.
        seeds: (N,).
        tier: physics or kinematic.
        policy_hz: decisions a second, the policy's own.
        randomization: spreads the conditions of a variant that has none of its own.
    """
    count = len(seeds)
    simulation = Simulation(
        variant, count, tier=tier, policy_hz=policy_hz, profile=CLASSROOM, randomization=randomization
    )
    everyone, first = np.arange(count), np.zeros(count, dtype=np.uint64)
    simulation.reset(everyone, seeds, first)
    policy.reset(everyone, seeds, first)
    errors, rewards, states, targets = [], [], [], []
    for _ in range(round(variant.task.seconds * policy_hz)):
        judged = simulation.step(policy.act(simulation.view.state, simulation.features, simulation.applied))
        errors.append(judged.error)
        rewards.append(sum(judged.terms.values(), np.zeros(count)))
        states.append(simulation.view.state)
        targets.append(simulation.target)
    return Trial(
        simulation.success,
        np.stack(errors, axis=1),
        np.mean(rewards, axis=0),
        np.stack(states, axis=1),
        np.stack(targets, axis=1),
    )


def main(
    task: Annotated[str, typer.Argument(help="Name of the task, or the path of its file.")],
    episodes: Annotated[int, typer.Option("--episodes", min=1)] = 100,
    tier: Annotated[str, typer.Option("--tier", help="physics or kinematic.")] = "kinematic",
    picture: Annotated[Path | None, typer.Option("--picture", help="Draw the expert's first episode instead.")] = None,
    every: Annotated[
        float | None, typer.Option("--every", min=0.04, help="s between the drawn moments; else the whole episode.")
    ] = None,
) -> None:
    """Success and error of a task's expert and oracle on every variant, or a picture of the expert at it.

    Example: python -m reachy_sim.trials track --episodes 200
    """
    simulated = simulated_task(task)
    error = simulated.task.spec.error
    seeds = np.arange(episodes, dtype=np.uint64)
    if picture:
        trial = run_trial(simulated.expert(1, 25), simulated.variants["training"], seeds[:1], tier=tier)
        _draw(trial, every, picture)
        typer.echo(f"picture: {picture}")
        return
    typer.echo(f"{error.heading}, {episodes} episodes, {tier}")
    typer.echo(f"{'variant':18}{'expert':>8}{'error':>9}{'oracle':>9}{'error':>9}")
    for name, variant in simulated.variants.items():
        cells = []
        for make in (simulated.expert, simulated.oracle):
            trial = run_trial(make(episodes, 25), variant, seeds, tier=tier)
            cells.append(f"{100 * trial.success.mean():7.0f}%{error.text(trial.error[:, 25:].mean()):>9}")
        typer.echo(f"{name:18}{' '.join(cells)}")


def _draw(trial: Trial, every: float | None, path: Path) -> None:
    """Four moments of an episode side by side: from its start to its end, or from its middle, ``every`` s apart."""
    import imageio.v3 as imageio

    from reachy_sim.rendering.robot_renderer import robot_images

    steps = trial.states.shape[1]
    moments = (
        np.linspace(0, steps - 1, 4).astype(int) if every is None else steps // 2 + round(25 * every) * np.arange(4)
    )
    shots = robot_images(list(trial.states[0, moments]), list(trial.targets[0, moments]), 480, 300)
    imageio.imwrite(path, np.concatenate(shots, axis=1))


if __name__ == "__main__":
    typer.run(main)
