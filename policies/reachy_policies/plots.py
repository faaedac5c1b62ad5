"""Plots of learning and of what was learned, as PNG bytes."""

import io
from typing import TYPE_CHECKING

import matplotlib.figure
import numpy as np

if TYPE_CHECKING:
    from reachy_policies.evaluate.episodes import Evaluation
    from reachy_policies.imitation import Progress


def learning_curve(history: "list[Progress]") -> bytes:
    """Training and held-out loss over the steps, and the held-out error of the plans."""
    figure = matplotlib.figure.Figure(figsize=(8, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    steps = [progress.step for progress in history]
    left.plot(steps, [progress.train_loss for progress in history], label="training")
    left.plot(steps, [progress.held_out_loss for progress in history], label="held-out episodes")
    best = min(history, key=lambda progress: progress.held_out_loss)
    left.axvline(best.step, color="0.6", linestyle=":", label="kept")
    left.set(xlabel="step", ylabel="negative log-likelihood")
    left.legend(frameon=False)
    right.plot(steps, [1e3 * progress.held_out_error for progress in history], color="tab:orange")
    right.set(xlabel="step", ylabel="held-out error of plans\n(thousandths of m or rad)", ylim=(0, None))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return _png(figure)


def gaze_over_time(results: "list[Evaluation]", tolerance: float) -> bytes:
    """Median gaze error over an episode with its quartiles, a colour a policy, and what counts as looking."""
    figure = matplotlib.figure.Figure(figsize=(8, 3.4), layout="constrained")
    axes = figure.subplots()
    for one in results:
        low, middle, high = np.rad2deg(np.percentile(one.gaze_errors, [25, 50, 75], axis=0))
        seconds = np.arange(1, len(middle) + 1) / one.policy_hz
        (line,) = axes.plot(seconds, middle, label=one.policy)
        axes.fill_between(seconds, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    axes.axhline(np.rad2deg(tolerance), color="0.4", linestyle=":", label="counts as looking")
    axes.set(xlabel="seconds", ylabel="gaze error (degrees)", ylim=(0, None), xlim=(0, None))
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return _png(figure)


def _png(figure: matplotlib.figure.Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
