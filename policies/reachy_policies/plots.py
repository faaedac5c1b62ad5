"""Plots of learning and of what was learned, as PNG bytes."""

from typing import TYPE_CHECKING

import matplotlib.figure

from reachy_policies.figures import encode_figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reachy_kit.runtime.interface import TaskError
    from reachy_policies.imitation.behavior_cloning import Progress
    from reachy_policies.imitation.dagger import Corrected
    from reachy_policies.reinforcement.training import EvalPoint


def learning_curve(history: "list[Progress]") -> bytes:
    """Training and held-out loss over the steps, and the held-out error of the plans."""
    figure = matplotlib.figure.Figure(figsize=(8, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    steps = [progress.step for progress in history]
    left.plot(steps, [progress.train_loss for progress in history], label="training")
    left.plot(steps, [progress.held_out_loss for progress in history], label="held-out episodes")
    best = min(history, key=lambda progress: progress.held_out_loss)
    left.axvline(best.step, color="0.6", linestyle=":", label="kept")
    left.set(xlabel="step", ylabel="loss")
    left.legend(frameon=False)
    right.plot(steps, [1e3 * progress.held_out_error for progress in history], color="tab:orange")
    right.set(xlabel="step", ylabel="held-out error of plans\n(thousandths of m or rad)", ylim=(0, None))
    return encode_figure(figure)


def rounds_curve(history: "list[EvalPoint]", error: "TaskError") -> bytes:
    """Success and error on held-out episodes over wall time, and the divergence from the start."""
    figure = matplotlib.figure.Figure(figsize=(10, 3), layout="constrained")
    panels = figure.subplots(1, 3)
    seconds = [one.seconds for one in history]
    panels[0].plot(seconds, [100 * one.success for one in history], marker=".")
    panels[0].set(xlabel="seconds of training", ylabel="success on held-out episodes (%)", ylim=(-2, 102))
    panels[1].plot(seconds, [error.scale * one.error for one in history], marker=".", color="tab:orange")
    panels[1].set(xlabel="seconds of training", ylabel=error.heading, ylim=(0, None))
    for name, label in (("kl_to_start", "KL[π‖π0]"), ("kl_from_start", "KL[π0‖π]")):
        told = [one for one in history if name in one.log]
        panels[2].plot([one.seconds for one in told], [one.log[name] for one in told], marker=".", label=label)
    panels[2].set(xlabel="seconds of training", ylabel="nats from the start")
    if panels[2].lines and len(panels[2].lines[0].get_xdata()):
        panels[2].legend(frameon=False)
    else:
        panels[2].plot(seconds, [one.reward for one in history], marker=".")
        panels[2].set(ylabel="reward a decision")
    return encode_figure(figure)


def dagger_curve(rounds: "Sequence[Corrected]", error: "TaskError") -> bytes:
    """Success and error after each round, over the episodes that it was fitted to."""
    figure = matplotlib.figure.Figure(figsize=(8, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    episodes = [one.episodes for one in rounds]
    left.plot(episodes, [100 * one.success for one in rounds], marker="o")
    left.set(xlabel="episodes in the dataset", ylabel="success on held-out episodes (%)", ylim=(-2, 102))
    right.plot(episodes, [error.scale * one.error for one in rounds], marker="o", color="tab:orange")
    right.set(xlabel="episodes in the dataset", ylabel=error.heading, ylim=(0, None))
    return encode_figure(figure)
