"""DAgger: the policy drives, the teacher says at each step what it would have done, and the policy is fitted anew.

Demonstrations show only the states that a good driver gets into. A policy's own small mistakes lead elsewhere, where
nobody ever showed what to do. Source: Ross, Gordon and Bagnell, AISTATS 2011 (arXiv 1011.0686), in their variant
without a parameter: the teacher drives in the first round, the demonstrations, and the policy in all others.

Try it: reachy-kit train imitation --dataset data/track --dagger 3 --out runs/track_dagger
"""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from reachy_kit.runtime.interface import Action, Array, Episode, Observation, Policy, Step, Subscriber, TaskError
from reachy_kit.runtime.interpolation import interpolate
from reachy_kit.runtime.safety import CLASSROOM, LimitsProfile, Motion, limit
from reachy_policies.models.lerobot.inference import load
from reachy_policies.plots import dagger_curve
from reachy_policies.runs.run import Run, save_run


@dataclass(frozen=True)
class Corrected:
    """A round: what was fitted, and how well it does."""

    round: int
    """0 is the imitation of the demonstrations alone."""
    episodes: int
    """Of the dataset that it was fitted to."""
    success: float
    """Share of the held-out episodes, the same in each round."""
    error: float
    """As ``Truth.task_error``: mean after the first second."""
    seconds: float
    """Wall time of its fit."""


class Corrections:
    """A rollout's subscriber that hands on each step with the teacher's action in place of the policy's.

    What was seen, and the action in force, stay those of the policy: they are the state that the teacher answers to.

    Args:
        recorder: gets the corrected steps.
        teacher: a fresh one for an episode's seed.
        policy_hz: decisions a second.
        control_hz: ticks a second.
        profile: what the limiter permits. Demonstrations hold what was carried out, so answers are limited as well.
    """

    def __init__(
        self,
        recorder: Subscriber,
        teacher: Callable[[int], Policy],
        policy_hz: int,
        control_hz: int,
        profile: LimitsProfile = CLASSROOM,
    ) -> None:
        self._recorder, self._make, self._profile = recorder, teacher, profile
        self._hz, self._control_hz = policy_hz, control_hz

    def on_episode_start(self, seed: int) -> None:
        """Ask a fresh teacher."""
        self._teacher = self._make(seed)
        self._teacher.reset()
        self._before: Action | None = None
        self._recorder.on_episode_start(seed)

    def on_step(self, step: Step) -> None:
        """Ask it what it would have done."""
        answer = self._teacher.act(step.observation)
        self._recorder.on_step(replace(step, action=self._limited(step.observation, answer)))

    def on_episode_end(self, episode: Episode) -> None:
        """The episode is whole."""
        self._recorder.on_episode_end(episode)

    def _limited(self, observation: Observation, target: Array) -> Action:
        """Where the limiter would have let the robot be commanded to after this decision."""
        start = observation.state if observation.last_action is None else observation.last_action
        before, self._before = self._before, start
        motion = Motion(start, (start - before) * self._hz) if before is not None else Motion.at_rest(start)
        ticks = self._control_hz // self._hz
        for tick in range(1, ticks + 1):
            request = interpolate(start, target, tick, ticks)
            motion, _ = limit(observation.state, motion, request, self._profile, self._control_hz)
        return motion.position


def best_of(rounds: Sequence[Corrected]) -> Corrected:
    """By success in whole percents, then by error."""
    return max(rounds, key=lambda one: (round(one.success, 2), -one.error))


def save_rounds(out: Path, runs: Sequence[Run], rounds: Sequence[Corrected], error: TaskError) -> Run:
    """Make the best round the run, with the table and the plot of all.

    Args:
        out: folder of the run.
        runs: one a round.
        rounds: the same.
        error: name and unit of the task's error.

    Raises:
        KitError: it cannot be written.
    """
    best = best_of(rounds)
    run = runs[best.round]
    result = {"success": best.success, "error": error.scale * best.error, "dagger_round": best.round}
    seconds = sum(one.seconds for one in rounds[: best.round + 1])
    card = replace(run.card, method="dagger", seconds=seconds, result=result, error_heading=error.heading)
    files = {name: (run.path / name).read_bytes() for name in ("curve.csv", "curve.png")}
    files |= {"dagger.csv": rounds_csv(rounds), "dagger.png": dagger_curve(rounds, error)}
    policy, processors = load(run)
    return save_run(out, policy, card, run.examples(), files, processors=processors)


def rounds_csv(rounds: Sequence[Corrected]) -> bytes:
    """A row a round."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(asdict(rounds[0])))
    writer.writeheader()
    writer.writerows(asdict(one) for one in rounds)
    return text.getvalue().encode()
