"""A policy that a person corrects: it drives, the person takes over with a device, and hands back.

The frames in which the person drives are marked in the dataset; a policy learns from those alone.
Source: HG-DAgger (Kelly et al. 2019). Try it: reachy-kit run track.bundle --robot sim --teleop keyboard
"""

from collections.abc import Sequence

from reachy_kit.runtime.behaviours.intervention import InterventionPolicy
from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import Action, EndReason, Observation, Robot, Tick
from reachy_kit.runtime.teleop.teleoperator import GuidingTeleoperator, TakeEvent, Teleoperator
from reachy_kit.runtime.watchdogs.guarded_policy import GuardedPolicy


class TakeOver:
    """A device that lets a policy drive until the person takes over.

    Args:
        policy: drives otherwise, under its watchdogs, which do not look while the person drives.
        device: the person's.

    Raises:
        WrongUseError: the device is a hand on the robot itself, whose motors would have to give way in mid-motion.
    """

    def __init__(self, policy: GuardedPolicy, device: Teleoperator) -> None:
        if isinstance(device, GuidingTeleoperator):
            raise WrongUseError(
                f"--teleop {device.name} cannot correct a policy, whose motors hold against a hand. Take another device"
            )
        self.name = device.name
        self.controls = (("c", "take over, hand back"), *device.controls)
        self.driving = False
        """Whether the person drives from the next decision on."""
        self.intervened = False
        """Whether the latest decision was the person's."""
        self._device, self._guarded = device, policy
        self._policy = InterventionPolicy(policy, self._human_action)
        self._observation: Observation | None = None

    @property
    def lost(self) -> str | None:
        """Why the device cannot drive; None while the policy does."""
        return self._device.lost if self.driving else None

    def connect(self, robot: Robot) -> None:
        """Open the device."""
        self._device.connect(robot)

    def disconnect(self) -> None:
        """Close the device."""
        self._device.disconnect()

    def reset(self) -> None:
        """Begin a take: the policy drives."""
        self.driving = self.intervened = False
        self._policy.reset()

    def toggle(self) -> None:
        """Hand the robot to the person, whose device starts where it is, or back to the policy."""
        self.driving = not self.driving
        if self.driving:
            self._device.reset()

    def act(self, observation: Observation) -> Action:
        """The (9,) target of who drives."""
        self._observation, self.intervened = observation, self.driving
        return self._policy.act(observation)

    def on_tick(self, tick: Tick) -> None:
        """Ask the watchdogs while the policy drives."""
        if not self.driving:
            self._guarded.on_tick(tick)

    def stop(self) -> EndReason | None:
        """The end of a take in which a watchdog has brought the robot to neutral."""
        return self._guarded.stop()

    def raise_trouble(self) -> None:
        """Raise what was wrong when a take ended in which the policy drove.

        Raises:
            KitError: with the cause, in words.
        """
        if not self.driving:
            self._guarded.raise_trouble()

    def events(self) -> Sequence[TakeEvent]:
        """Events of the device."""
        return self._device.events()

    def _human_action(self) -> Action | None:
        assert self._observation is not None, "a policy is asked with an observation"
        return self._device.act(self._observation) if self.driving else None
