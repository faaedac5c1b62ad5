"""Selection of the perception that yields the features that a robot's task or policy needs."""

from typing import Literal

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.perception.sound import are_heard
from reachy_kit.runtime.perception.target import TARGET_FEATURES
from reachy_kit.runtime.perception.targets.target_registry import BALL

type PerceptionName = Literal["geometry", "detector", "microphone"]
type RobotKind = Literal["sim", "daemon", "hardware"]


def select_perception(
    requested: str,
    robot: RobotKind,
    features: tuple[str, ...] | None,
    target: str = BALL,
    *,
    microphone: bool = False,
) -> PerceptionName:
    """Choose between the simulator's geometry, the detector in the camera's image, and a microphone.

    Args:
        requested: ``geometry``, ``detector``, ``microphone``, or ``auto``: the detector where it yields the features,
            but on ``sim``, where drawing the image takes a hundred times as long, the geometry, unless another target
            than the ball is to be looked at. Features of sound come from the microphone of a real robot, or from one
            that was named.
        robot: kind of robot; only a simulated one has geometry.
        features: names of the needed features; None if any will do.
        target: what is looked at, as ``--target`` gives it.
        microphone: whether a microphone of this computer was named.

    Raises:
        WrongUseError: the perception does not exist, or does not yield the features on this robot.
    """
    if requested not in ("auto", "geometry", "detector", "microphone"):
        raise WrongUseError(
            f"--perception {requested} does not exist; there are auto, geometry, detector and microphone"
        )
    detectable = features in (None, TARGET_FEATURES)
    if target != BALL and not detectable:
        raise WrongUseError(f"--target {target} yields {', '.join(TARGET_FEATURES)}, not {', '.join(features or ())}")
    audible = are_heard(features)
    if requested == "microphone" and not audible:
        raise WrongUseError(
            f"--perception microphone yields features of sound, not {', '.join(features or TARGET_FEATURES)}"
        )
    if requested == "microphone" or (audible and requested == "auto" and (robot == "hardware" or microphone)):
        return "microphone"
    if robot == "hardware" and requested == "geometry":
        raise WrongUseError("a real robot has no --perception geometry: the place of its target is not known")
    if robot == "hardware" and not detectable:
        raise WrongUseError(f"a real robot has no perception yet that yields {', '.join(features or ())}")
    if requested == "detector" and not detectable:
        raise WrongUseError(
            f"--perception detector yields {', '.join(TARGET_FEATURES)}, not {', '.join(features or ())}; "
            "take --perception geometry"
        )
    if target != BALL and requested == "geometry":
        raise WrongUseError(f"--perception geometry does not look at images: leave it out for --target {target}")
    if requested == "auto":
        return "geometry" if (robot == "sim" and target == BALL) or not detectable else "detector"
    return "geometry" if requested == "geometry" else "detector"
