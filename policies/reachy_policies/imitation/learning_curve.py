"""The learning curve of an imitation, as a plot."""

import math
from collections.abc import Sequence

from matplotlib.figure import Figure

from reachy_policies.figures import encode_figure
from reachy_policies.imitation.supervised import Progress


def plot_learning_curve(history: Sequence[Progress]) -> bytes:
    """Training and held-out loss over the steps, and the held-out errors of the plans; PNG."""
    figure = Figure(figsize=(8, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    steps = [progress.step for progress in history]
    left.plot(steps, [progress.train_loss for progress in history], label="training")
    left.plot(steps, [progress.held_out_loss for progress in history], label="held-out episodes")
    best = min(history, key=lambda progress: progress.held_out_loss)
    left.axvline(best.step, color="0.6", linestyle=":", label="kept")
    left.set(xlabel="step", ylabel="loss")
    left.legend(frameon=False)
    right.plot(steps, [math.degrees(progress.held_out_angle_error) for progress in history], label="angles, degrees")
    right.plot(steps, [1e3 * progress.held_out_position_error for progress in history], label="head position, mm")
    right.set(xlabel="step", ylabel="held-out error of plans", ylim=(0, None))
    right.legend(frameon=False)
    return encode_figure(figure)
