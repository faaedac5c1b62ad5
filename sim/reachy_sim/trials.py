"""Many episodes of a batch policy at once, on seeds of their own: for teachers, thresholds and pictures.

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
from reachy_sim.tasks import VARIANTS, variant_by_name
from reachy_sim.tasks.expert import BatchPolicy, teacher
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
    policy: BatchPolicy,
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
    task: Annotated[str, typer.Argument(help="look_at, track, sound_orient or dance.")],
    episodes: Annotated[int, typer.Option("--episodes", min=1)] = 100,
    tier: Annotated[str, typer.Option("--tier", help="physics or kinematic.")] = "kinematic",
    picture: Annotated[Path | None, typer.Option("--picture", help="Draw the expert's first episode instead.")] = None,
) -> None:
    """Success and error of a task's expert and oracle on every variant, or a picture of the expert at it.

    Example: python -m reachy_sim.trials track --episodes 200
    """
    variant_by_name(task)  # names what there is
    variants = VARIANTS[task]
    seeds = np.arange(episodes, dtype=np.uint64)
    if picture:
        usual = variants["training"]
        _draw(run_trial(teacher(task, 25), usual, seeds[:1], tier=tier), usual.task.error_name, picture)
        typer.echo(f"picture: {picture}")
        return
    typer.echo(f"{'variant':18}{'expert':>8}{'error':>9}{'oracle':>9}{'error':>9}   {episodes} episodes, {tier}")
    for name, variant in variants.items():
        cells = []
        for oracle in (False, True):
            trial = run_trial(teacher(task, 25, episodes, oracle=oracle), variant, seeds, tier=tier)
            cells.append(f"{100 * trial.success.mean():7.0f}%{np.rad2deg(trial.error[:, 25:].mean()):8.1f}°")
        typer.echo(f"{name:18}{' '.join(cells)}")


def _draw(trial: Trial, error_name: str, path: Path) -> None:
    """Four moments of an episode side by side: from its start to its end, or within one beat."""
    import imageio.v3 as imageio

    from reachy_sim.rendering.portrait import portraits

    steps = trial.states.shape[1]
    moments = steps // 2 + 4 * np.arange(4) if error_name == "phase error" else np.linspace(0, steps - 1, 4).astype(int)
    shots = portraits(list(trial.states[0, moments]), list(trial.targets[0, moments]), 480, 300)
    imageio.imwrite(path, np.concatenate(shots, axis=1))


if __name__ == "__main__":
    typer.run(main)
