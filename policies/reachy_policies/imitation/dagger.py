"""DAgger: the policy drives, the expert labels each step with its own action, and the policy is trained again.

Demonstrations show only the states that an expert gets into. A policy's own small mistakes lead elsewhere, where
nothing was demonstrated. Source: Ross, Gordon and Bagnell, AISTATS 2011 (arXiv 1011.0686), in their variant without a
parameter: the expert drives in the demonstrations, and the policy in every iteration after them.

Try it: reachy-kit train imitation --dataset data/track --dagger 3 --out runs/track_dagger
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from matplotlib.figure import Figure

from reachy_kit.runtime.interface import Action, Array, Episode, Observation, Policy, Step, Subscriber, TaskError
from reachy_kit.runtime.interpolation import interpolate
from reachy_kit.runtime.safety import CLASSROOM, LimitsProfile, Motion, limit
from reachy_policies.figures import encode_figure
from reachy_policies.runs.curve_csv import encode_csv
from reachy_policies.runs.policy_loader import load_policy
from reachy_policies.runs.run_files import CURVE_CSV, CURVE_PNG
from reachy_policies.runs.saved_run import Run, save_run


@dataclass(frozen=True)
class DaggerIteration:
    """Dataset size and evaluation of one iteration."""

    iteration: int
    """Index of the iteration; 0 is the imitation of the demonstrations alone."""
    episodes: int
    """Number of the dataset's episodes."""
    success: float
    """Success rate on the held-out episodes, the same in each iteration."""
    error: float
    """Mean of ``Truth.task_error`` after the first second."""
    seconds: float
    """Wall time of its training, s."""


class ExpertRelabeler:
    """A rollout's subscriber that passes on each step with the expert's action in place of the policy's.

    The observation and the action in force stay those of the policy: they are the state that the expert answers to.

    Args:
        recorder: receives the relabelled steps.
        expert: makes the expert for an episode's seed.
        policy_hz: decisions per second.
        control_hz: ticks per second.
        profile: the limiter's profile. Demonstrations hold applied actions, so the expert's actions are limited too.
    """

    def __init__(
        self,
        recorder: Subscriber,
        expert: Callable[[int], Policy],
        policy_hz: int,
        control_hz: int,
        profile: LimitsProfile = CLASSROOM,
    ) -> None:
        self._recorder, self._make_expert, self._profile = recorder, expert, profile
        self._hz, self._control_hz = policy_hz, control_hz

    def on_episode_start(self, seed: int) -> None:
        """Make the episode's expert."""
        self._expert = self._make_expert(seed)
        self._expert.reset()
        self._before: Action | None = None
        self._recorder.on_episode_start(seed)

    def on_step(self, step: Step) -> None:
        """Pass the step on with the expert's action."""
        answer = self._expert.act(step.observation)
        self._recorder.on_step(replace(step, action=self._limited(step.observation, answer)))

    def on_episode_end(self, episode: Episode) -> None:
        """Pass on the end of the episode."""
        self._recorder.on_episode_end(episode)

    def _limited(self, observation: Observation, target: Array) -> Action:
        """Action that the limiter would have allowed by the end of this decision."""
        start = observation.state if observation.last_action is None else observation.last_action
        before, self._before = self._before, start
        motion = Motion(start, (start - before) * self._hz) if before is not None else Motion.at_rest(start)
        ticks = self._control_hz // self._hz
        for tick in range(1, ticks + 1):
            request = interpolate(start, target, tick, ticks)
            motion, _ = limit(observation.state, motion, request, self._profile, self._control_hz)
        return motion.position


def best_of(iterations: Sequence[DaggerIteration]) -> DaggerIteration:
    """Best iteration by success in whole percents, then by error."""
    return max(iterations, key=lambda point: (round(point.success, 2), -point.error))


def save_dagger(out: Path, runs: Sequence[Run], iterations: Sequence[DaggerIteration], error: TaskError) -> Run:
    """Make the best iteration the run, with the table and the plot of all.

    Args:
        out: folder of the run.
        runs: one per iteration.
        iterations: their results, in the same order.
        error: name and unit of the task's error.

    Raises:
        KitError: it cannot be written.
    """
    best = best_of(iterations)
    run = runs[best.iteration]
    result = {"success": best.success, "error": error.scale * best.error, "dagger_iteration": best.iteration}
    seconds = sum(point.seconds for point in iterations[: best.iteration + 1])
    card = replace(run.card, method="dagger", seconds=seconds, result=result, error_heading=error.heading)
    files = {name: (run.path / name).read_bytes() for name in (CURVE_CSV, CURVE_PNG)}
    files |= {
        "dagger.csv": encode_csv([asdict(point) for point in iterations]),
        "dagger.png": plot_dagger_curve(iterations, error),
    }
    policy, processors = load_policy(run)
    return save_run(out, policy, card, run.examples(), files, processors=processors)


def plot_dagger_curve(iterations: Sequence[DaggerIteration], error: TaskError) -> bytes:
    """Success and error after each iteration, over the episodes that it was trained on; PNG."""
    figure = Figure(figsize=(8, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    episodes = [point.episodes for point in iterations]
    left.plot(episodes, [100 * point.success for point in iterations], marker="o")
    left.set(xlabel="episodes in the dataset", ylabel="success on held-out episodes (%)", ylim=(-2, 102))
    right.plot(episodes, [error.scale * point.error for point in iterations], marker="o", color="tab:orange")
    right.set(xlabel="episodes in the dataset", ylabel=error.heading, ylim=(0, None))
    return encode_figure(figure)
