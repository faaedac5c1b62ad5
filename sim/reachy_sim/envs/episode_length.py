"""Length of an episode in decisions: the task's own, or ``max_episode_steps`` as Gymnasium's users give it."""

import sys
from dataclasses import replace
from types import FrameType

import gymnasium
from gymnasium.envs.registration import EnvSpec

from reachy_kit.runtime.errors import WrongUseError

_WITHOUT_LIMIT = -1
"""Gymnasium's word for episodes that are never truncated."""
_FOREVER = sys.maxsize


def episode_steps(asked: int | None, own: int) -> int:
    """Decisions after which an episode is truncated.

    Args:
        asked: ``max_episode_steps``; None where it was not given, −1 for never.
        own: the task's.

    Raises:
        WrongUseError: another number below 1.
    """
    if asked is None:
        return own
    if asked < 1 and asked != _WITHOUT_LIMIT:
        raise WrongUseError(f"max_episode_steps={asked}: at least one decision, or -1 for episodes without an end")
    return _FOREVER if asked == _WITHOUT_LIMIT else int(asked)


def asked_of_make(env: object) -> int | None:
    """The ``max_episode_steps`` with which ``gymnasium.make`` is making an environment; None without any.

    Gymnasium tells its ``TimeLimit`` and not the environment (Farama-Foundation/Gymnasium#615), and what it registers
    cannot depend on ``policy_hz``. So it is read where it is: in the frame that constructs the environment.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame and frame.f_locals.get("self") is env:  # also the constructors of derived classes
        frame = frame.f_back
    if frame is None or frame.f_code is not gymnasium.make.__code__:
        return None
    asked: int | None = frame.f_locals["max_episode_steps"]
    if asked is not None:
        return asked
    limit: int | None = frame.f_locals["env_spec"].max_episode_steps
    return limit


class EpisodeLength:
    """The length of an episode, also in the specification that Gymnasium gives to what it makes."""

    _max_episode_steps: int
    _spec: EnvSpec | None = None

    @property
    def spec(self) -> EnvSpec | None:
        """How Gymnasium made this."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        if spec is not None and spec.max_episode_steps is None and self._max_episode_steps != _FOREVER:
            spec = replace(spec, max_episode_steps=self._max_episode_steps)
        self._spec = spec
