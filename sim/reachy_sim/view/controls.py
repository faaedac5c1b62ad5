"""Between the browser and the one control loop: pause, single steps, a new start, and a person at the sliders.

The loop stays ``reachy_kit.runtime.rollout``. It gets a robot that can be made to wait and a policy that can be
overruled; whoever wants a new start raises an exception through it.
"""

import threading
import time
from collections.abc import Callable

from reachy_kit.runtime.interface import Action, Array, Observation, Policy, Robot

_LATE = 0.1
"""s behind the wall clock after which a simulation no longer tries to catch up."""


class StartAgainError(Exception):
    """Ends a rollout because another one shall begin; nobody outside this package sees it."""


class Controls:
    """What the person in front of the browser wants. Any thread may say it; the loop's thread acts on it.

    Args:
        seed: of the first episode.
        variant: of the task.
        paused: wait before the first tick.
    """

    def __init__(self, seed: int, variant: str, *, paused: bool = False) -> None:
        self._changed = threading.Condition()
        self._paused = paused
        self._ticks = 0
        self._again = False
        self.seed = seed
        self.variant = variant
        self.human_action: Action | None = None
        """(9,) where the person wants the robot; None while the policy drives."""

    @property
    def paused(self) -> bool:
        """Whether the loop waits."""
        return self._paused

    def pause(self, paused: bool) -> None:
        """Hold the loop at its next tick, or let it go on."""
        with self._changed:
            self._paused, self._ticks = paused, 0
            self._changed.notify_all()

    def step(self, ticks: int) -> None:
        """Pause, and let so many more ticks pass."""
        with self._changed:
            self._paused = True
            self._ticks += ticks
            self._changed.notify_all()

    def start_again(self, seed: int | None = None, variant: str | None = None) -> None:
        """Begin another episode, of the next seed unless one is given; the policy drives again."""
        with self._changed:
            self.seed = self.seed + 1 if seed is None else seed
            self.variant = self.variant if variant is None else variant
            self.human_action, self._again = None, True
            self._changed.notify_all()

    def steer(self, axis: int, value: float, start: Action) -> None:
        """The person moves one axis, in m or rad.

        Args:
            axis: index in ``ACTION_NAMES``.
            value: where to.
            start: (9,) action in force, where the other axes stay when the person takes over.
        """
        with self._changed:
            human_action = (start if self.human_action is None else self.human_action).copy()
            human_action[axis] = value
            self.human_action = human_action

    def release(self) -> None:
        """The policy drives again."""
        self.human_action = None

    def wait(self) -> None:
        """Called before every tick.

        Raises:
            StartAgainError: another episode is wanted.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._again or not self._paused or self._ticks > 0)
            if self._again:
                self._again = False
                raise StartAgainError
            self._ticks = max(0, self._ticks - 1)


class WatchedRobot:
    """A robot that waits when told to, keeps the pace of the wall clock and shows what it observes.

    Args:
        robot: connected.
        controls: who says when to wait.
        observed: told of every observation.
        pace: whether the robot is a simulation that would run away from the wall clock.
    """

    def __init__(self, robot: Robot, controls: Controls, observed: Callable[[Observation], None], pace: bool) -> None:
        self._robot = robot
        self._controls = controls
        self._observed = observed
        self._pace = pace
        self._due = time.perf_counter()
        self.name = robot.name
        self.control_hz = robot.control_hz

    @property
    def observation_features(self) -> dict[str, type | tuple[int, ...]]:
        """Those of the robot."""
        return self._robot.observation_features

    @property
    def action_features(self) -> dict[str, type]:
        """Those of the robot."""
        return self._robot.action_features

    def connect(self) -> None:
        """Open the connection."""
        self._robot.connect()

    def disconnect(self) -> None:
        """Leave the robot at rest."""
        self._robot.disconnect()

    def reset(self, pose: Array) -> None:
        """Go to a (9,) pose and come to rest there."""
        self._robot.reset(pose)

    def get_observation(self) -> Observation:
        """The latest measurement."""
        observation = self._robot.get_observation()
        self._observed(observation)
        return observation

    def send_action(self, action: Action) -> Action:
        """Command a (9,) target; returns what was applied."""
        return self._robot.send_action(action)

    def wait_next_tick(self) -> None:
        """Wait while paused, then one tick.

        Raises:
            StartAgainError: another episode is wanted.
        """
        self._controls.wait()
        self._robot.wait_next_tick()
        if self._pace:
            self._due += 1 / self.control_hz
            ahead = self._due - time.perf_counter()
            if ahead > 0:
                time.sleep(ahead)
            elif ahead < -_LATE:
                self._due -= ahead


class InterventionPolicy:
    """A policy until a person takes a slider, and again when the person hands back.

    Args:
        policy: who drives otherwise.
        controls: holds what the person wants.
        decisions: after so many the episode is over, unless a person drives; None for no end.
    """

    def __init__(self, policy: Policy, controls: Controls, decisions: int | None) -> None:
        self._policy = policy
        self._controls = controls
        self._decisions = decisions
        self._overruled = False
        self._count = 0

    def reset(self) -> None:
        """A new episode."""
        self._policy.reset()
        self._overruled, self._count = False, 0

    def act(self, observation: Observation) -> Action:
        """The person's (9,) target, or else the policy's.

        Raises:
            StartAgainError: the episode is over.
        """
        human_action = self._controls.human_action
        if human_action is not None:
            self._overruled = True
            return human_action
        if self._decisions is not None and self._count >= self._decisions:
            self._controls.start_again()
        self._count += 1
        if self._overruled:
            self._policy.reset()
            self._overruled = False
        return self._policy.act(observation)


class HoldPolicy:
    """The policy ``none``: stays where it is."""

    def reset(self) -> None:
        """Nothing to forget."""

    def act(self, observation: Observation) -> Action:
        """The (9,) action in force."""
        return observation.state if observation.last_action is None else observation.last_action
