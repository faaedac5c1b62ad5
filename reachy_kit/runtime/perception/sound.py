"""Features of a sound and of a beat, measured by the microphone array or by the simulator.

The array tells left from right and not front from back: a sound 30° right of behind is like one 30° right of ahead.
Source: reachy_mini.media.audio_doa (1.12), which counts 0 left, π/2 front or back, π right.
"""

from math import pi

from reachy_kit.runtime.perception.features import Feature, register_features

MAX_SOUND_AGE = 1.0
"""Largest age of a sound or a beat, s; older ones are reported with this age."""
SOUND_FEATURES = register_features(
    Feature("sound_right", "rad", -pi / 2, pi / 2, "direction of arrival right of the head's, when last heard"),
    Feature("sound_level", "1", 0.0, 1.0, "loudness when last heard"),
    Feature("sound_heard", "1", 0.0, 1.0, "whether it is heard now"),
    Feature("sound_age", "s", 0.0, MAX_SOUND_AGE, "time since it was last heard"),
)
BEAT_FEATURES = register_features(
    Feature("beat_sin", "1", -1.0, 1.0, "sine of the beat's phase when it was last tracked; the beat is at phase 0"),
    Feature("beat_cos", "1", -1.0, 1.0, "cosine of the same phase"),
    Feature("beat_tempo", "Hz", 0.0, 4.0, "beats per second"),
    Feature("beat_heard", "1", 0.0, 1.0, "whether it is tracked now"),
    Feature("beat_age", "s", 0.0, MAX_SOUND_AGE, "time since it was last tracked"),
)
OTHER_SOUND_FEATURES = register_features(
    Feature("voice_activity", "1", 0.0, 1.0, "probability that somebody speaks now"),
    Feature("onset_strength", "1", 0.0, 1.0, "how sharply the sound rises now; 1 is a loud drum"),
)
HEARING_FEATURES = (*SOUND_FEATURES, *BEAT_FEATURES, *OTHER_SOUND_FEATURES)
"""All that a microphone yields, in the order of ``Observation.sound``."""
DIRECTION_PERIOD = 0.1
"""Time between directions of arrival, s. Source: DOA_POLL_INTERVAL_S of reachy_mini.daemon.backend.abstract (1.12)."""


def are_heard(features: tuple[str, ...] | None) -> bool:
    """Whether a microphone yields all of these features, so that no camera is needed."""
    return features is not None and set(features) <= set(HEARING_FEATURES)
