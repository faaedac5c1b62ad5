"""Run of an imitation: its card, its examples and its learning curve."""

import math
from dataclasses import asdict
from pathlib import Path

from reachy_policies.data.demonstrations import Demonstrations
from reachy_policies.data.windows import cut_windows_at, select_frames
from reachy_policies.imitation.learning_curve import plot_learning_curve
from reachy_policies.imitation.supervised import SupervisedConfig, TrainResult
from reachy_policies.runs.curve_csv import encode_csv
from reachy_policies.runs.run_card import RunCard
from reachy_policies.runs.run_files import CURVE_CSV, CURVE_PNG
from reachy_policies.runs.saved_run import Run, dataset_digest, example_rows, save_run, versions


def save_imitation(path: Path, trained: TrainResult, demonstrations: Demonstrations, config: SupervisedConfig) -> Run:
    """Write a run that was trained on datasets.

    Args:
        path: folder of the run.
        trained: its policy and learning curve.
        demonstrations: the datasets; examples are cut from all their episodes.
        config: of the training.

    Raises:
        KitError: it cannot be written.
    """
    layout, steps = demonstrations.layout, trained.policy.config
    frames = select_frames(demonstrations, demonstrations.episodes, 0.0)
    frames = frames[example_rows(len(frames))]  # the others would be cut in vain: save_run keeps these
    examples = cut_windows_at(demonstrations, frames, steps.n_obs_steps, len(steps.action_delta_indices))
    card = RunCard(
        task=layout.task,
        policy=trained.policy.name,
        policy_hz=layout.policy_hz,
        control_hz=layout.control_hz,
        environment_state=layout.environment_state,
        environment_state_units=layout.environment_state_units,
        method="imitation",
        dataset=", ".join(root.resolve().name for root in demonstrations.roots),
        dataset_sha256=", ".join(dataset_digest(root) for root in demonstrations.roots),
        episodes=trained.episodes,
        held_out=trained.held_out,
        seed=config.seed,
        steps=trained.best.step,
        held_out_loss=trained.best.held_out_loss,
        held_out_position_error=_number(trained.best.held_out_position_error),
        held_out_angle_error=_number(trained.best.held_out_angle_error),
        seconds=trained.history[-1].seconds,
        versions=versions(),
        settings={**asdict(config), "instruction": layout.instruction},
    )
    curve = {
        CURVE_CSV: encode_csv([asdict(point) for point in trained.history]),
        CURVE_PNG: plot_learning_curve(trained.history),
    }
    return save_run(path, trained.policy, card, examples, curve, processors=trained.processors)


def _number(value: float) -> float | None:
    """Value for JSON, where NaN becomes null."""
    return None if math.isnan(value) else value
