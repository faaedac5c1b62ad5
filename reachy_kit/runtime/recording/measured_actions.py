"""Actions of an episode in which a person moved the robot itself: the measured motion, its delay compensated."""

from collections.abc import Sequence

import numpy as np

from reachy_kit.runtime.recording.schema import (
    ACTION,
    CAPTURE_TIME,
    OBS_LAST_ACTION,
    OBS_STATE,
    REQUESTED_ACTION,
    Frame,
)


def measured_actions(frames: Sequence[Frame], delay: float, period: float) -> list[Frame]:
    """Replace the actions of guided frames by what would have caused the motion.

    A robot lags behind its commands. A frame's action is the target at the frame's end, so it is the pose that was
    measured one delay after that end, interpolated between the measurements. It is the requested action too, which a
    replay sends. ``observation.last_action`` is the measured pose itself: while a hand guides the robot, no command
    leads it. The action of the frame before would tell a policy where the hand moves, one delay ahead: it then repeats
    its own commands instead of looking.

    Args:
        frames: of one episode, in order. They are not changed.
        delay: time by which the robot's measured motion lags behind its commands, s.
        period: length of a frame, s.

    Returns:
        As many frames. The actions of the last ones lie beyond the last measurement: they hold it, as a robot at the
        end of a take does.
    """
    if not frames:
        return []
    times = np.array([frame[CAPTURE_TIME][0] for frame in frames])
    states = np.array([frame[OBS_STATE] for frame in frames], dtype=np.float64)
    wanted = times + period + delay
    actions = np.stack([np.interp(wanted, times, axis) for axis in states.T], axis=-1).astype(np.float32)
    return [
        frame | {ACTION: action, REQUESTED_ACTION: action, OBS_LAST_ACTION: frame[OBS_STATE]}
        for frame, action in zip(frames, actions, strict=True)
    ]
