"""Columns of a recording, as LeRobot specifies those of a dataset."""

from typing import Any

from reachy_kit.runtime.recording.layout import DatasetLayout
from reachy_kit.runtime.recording.schema import (
    ACTION,
    AUDIO,
    CAPTURE_TIME,
    IMAGE,
    IMAGE_TIME,
    INTERVENTION,
    OBS_ENV_STATE,
    OBS_LAST_ACTION,
    OBS_STATE,
    OPERATOR,
    REQUESTED_ACTION,
    REWARD,
    SEED,
    SOUND,
    SUCCESS,
    SUCCESS_MARK,
)


def lerobot_features(layout: DatasetLayout) -> dict[str, dict[str, Any]]:
    """Columns by name: type, shape and names."""
    features = {
        OBS_STATE: _vector(layout.action),
        OBS_ENV_STATE: _vector(layout.environment_state),
        OBS_LAST_ACTION: _vector(layout.action),
        ACTION: _vector(layout.action),
        REWARD: _scalar("float32"),
        SUCCESS: _scalar("bool"),
        CAPTURE_TIME: _scalar("float64"),
        SEED: _scalar("int64"),
        REQUESTED_ACTION: _vector(layout.action),
        INTERVENTION: _scalar("bool"),
        OPERATOR: _scalar("string"),
        SUCCESS_MARK: _scalar("int64"),
    }
    if not layout.environment_state:  # a robot without a camera, where nothing perceives
        del features[OBS_ENV_STATE]
    if layout.sound:
        features[SOUND] = _vector(layout.sound)
    if layout.audio_samples:
        features[AUDIO] = {"dtype": "int16", "shape": (layout.audio_samples,), "names": None}
    if layout.image_shape:
        features[IMAGE] = {"dtype": "video", "shape": layout.image_shape, "names": ["height", "width", "channels"]}
        features[IMAGE_TIME] = _scalar("float64")
    return features


def _vector(names: tuple[str, ...]) -> dict[str, Any]:
    return {"dtype": "float32", "shape": (len(names),), "names": list(names)}


def _scalar(dtype: str) -> dict[str, Any]:
    return {"dtype": dtype, "shape": (1,), "names": None}
