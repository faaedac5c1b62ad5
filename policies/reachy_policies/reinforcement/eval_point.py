"""An evaluation during a training in the simulator; all of them as a plot."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from matplotlib.figure import Figure

from reachy_kit.runtime.interface import TaskError
from reachy_policies.figures import encode_figure


@dataclass(frozen=True)
class EvalPoint:
    """One evaluation on the held-out episodes."""

    iteration: int
    seconds: float
    """Wall time of training, s, evaluations included."""
    env_steps: int
    success: float
    """Success rate on the held-out episodes."""
    error: float
    """Mean of ``Truth.task_error`` over the held-out episodes, after the first second."""
    reward: float
    """Mean reward per decision on the held-out episodes."""
    jerk: float
    """Mean jerk of the commands, rad/s³."""
    log: dict[str, float]
    """Log of the learner's iteration."""

    def flat(self) -> dict[str, float]:
        """All numbers by name, the log's among them."""
        own = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "log"}
        return {**own, **self.log}


def plot_eval_points(history: Sequence[EvalPoint], error: TaskError) -> bytes:
    """Success and error on held-out episodes over wall time, and the divergence from the start or the reward; PNG."""
    figure = Figure(figsize=(10, 3), layout="constrained")
    success, errors, last = figure.subplots(1, 3)
    seconds = [point.seconds for point in history]
    success.plot(seconds, [100 * point.success for point in history], marker=".")
    success.set(xlabel="seconds of training", ylabel="success on held-out episodes (%)", ylim=(-2, 102))
    errors.plot(seconds, [error.scale * point.error for point in history], marker=".", color="tab:orange")
    errors.set(xlabel="seconds of training", ylabel=error.heading, ylim=(0, None))
    last.set(xlabel="seconds of training")
    logged = [point for point in history if "kl_to_start" in point.log]
    if logged:
        for name, label in (("kl_to_start", "KL[π‖π0]"), ("kl_from_start", "KL[π0‖π]")):
            values = [point.log[name] for point in logged]
            last.plot([point.seconds for point in logged], values, marker=".", label=label)
        last.set(ylabel="nats from the start")
        last.legend(frameon=False)
    else:
        last.plot(seconds, [point.reward for point in history], marker=".")
        last.set(ylabel="reward per decision")
    return encode_figure(figure)
