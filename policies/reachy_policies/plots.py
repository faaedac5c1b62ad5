"""Pictures of learning, as PNG bytes."""

import io
from typing import TYPE_CHECKING

import matplotlib.figure

if TYPE_CHECKING:
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
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
