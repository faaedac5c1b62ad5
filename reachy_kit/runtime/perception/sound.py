"""The numbers that describe a sound and a beat, whoever measured them: the microphone array, or the simulator.

A sound, ``SOUND_FEATURES``:

===  ===========  ====  ============  =================================================================
 #   name         unit  range         meaning
===  ===========  ====  ============  =================================================================
 0   sound_right  rad   −π/2 … π/2    direction of arrival, right of where the head faces, when last heard
 1   sound_level  1     0 … 1         loudness when last heard
 2   sound_heard  1     0 or 1        whether it is heard now
 3   sound_age    s     0 … 1         time since it was last heard
===  ===========  ====  ============  =================================================================

The array tells left from right and not front from back: what is 30° right of behind sounds like 30° right of ahead.
Source: reachy_mini.media.audio_doa (1.12), which counts 0 left, π/2 front or back, π right.

A beat, ``BEAT_FEATURES``:

===  ===========  ====  ============  =================================================================
 #   name         unit  range         meaning
===  ===========  ====  ============  =================================================================
 0   beat_sin     1     −1 … 1        sine of the beat's phase when it was last tracked; the beat is at phase 0
 1   beat_cos     1     −1 … 1        its cosine
 2   beat_tempo   Hz    0 … 4         beats a second
 3   beat_heard   1     0 or 1        whether it is tracked now
 4   beat_age     s     0 … 1         time since it was last tracked
===  ===========  ====  ============  =================================================================
"""

SOUND_FEATURES: tuple[str, ...] = ("sound_right", "sound_level", "sound_heard", "sound_age")
BEAT_FEATURES: tuple[str, ...] = ("beat_sin", "beat_cos", "beat_tempo", "beat_heard", "beat_age")
DIRECTION_PERIOD = 0.1
"""s between new directions of arrival. Source: DOA_POLL_INTERVAL_S of reachy_mini.daemon.backend.abstract (1.12)."""
