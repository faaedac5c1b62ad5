"""Cues: how they sound, and that a speaker neither holds up the loop nor is needed."""

import io
import threading
import time
import wave

import numpy as np
import pytest

from reachy_kit.runtime.robots.speaking.speaker import opened_speaker
from reachy_kit.runtime.robots.speaking.tones import RATE, Cue, as_wave, synthesize


def pitch(sound):
    """Frequency of the loudest tone, Hz."""
    return np.argmax(np.abs(np.fft.rfft(sound, RATE)))


@pytest.mark.parametrize("cue", Cue)
def test_a_cue_is_short_soft_and_without_clicks(cue):
    sound = synthesize(cue)
    assert 0.05 < len(sound) / RATE < 0.3
    assert 0.1 < np.abs(sound).max() <= 0.2
    assert np.abs(np.diff(sound)).max() < 0.1 and abs(sound[0]) < 1e-3 and abs(sound[-1]) < 0.01


def test_a_beginning_rises_and_an_end_falls():
    rising, falling = synthesize(Cue.BEGIN), synthesize(Cue.END)
    assert pitch(rising[: RATE // 12]) < pitch(rising[-RATE // 12 :])
    assert pitch(falling[: RATE // 12]) > pitch(falling[-RATE // 12 :])


def test_a_cue_as_a_file_is_the_same_sound():
    with wave.open(io.BytesIO(as_wave(Cue.BEGIN))) as file:
        assert (file.getframerate(), file.getnchannels()) == (RATE, 1)
        samples = np.frombuffer(file.readframes(RATE), dtype="<i2") / (2**15 - 1)
    np.testing.assert_allclose(samples, synthesize(Cue.BEGIN), atol=1e-4)


class Player:
    """Plays a cue when it is let."""

    name = "brass"

    def __init__(self, error=None):
        self.played, self.may_play, self.begun, self.error = [], threading.Event(), threading.Event(), error

    def play(self, cue):
        self.begun.set()
        assert self.may_play.wait(10)
        if self.error:
            raise self.error
        self.played.append(cue)


def test_a_slow_speaker_does_not_hold_up_the_loop_and_plays_the_latest_cue():
    player = Player()
    with opened_speaker(player) as speaker:
        began = time.monotonic()
        speaker.play(Cue.BEGIN)
        assert player.begun.wait(10)
        for _ in range(1000):
            speaker.play(Cue.NOTICE)
        speaker.play(Cue.END)
        assert time.monotonic() - began < 5
        player.may_play.set()
    assert player.played == [Cue.BEGIN, Cue.END]


@pytest.mark.parametrize("error", [OSError("unplugged"), RuntimeError("unplugged")])
def test_a_speaker_that_fails_falls_silent_and_says_so(error):
    player = Player(error)
    player.may_play.set()
    with opened_speaker(player) as speaker:
        assert speaker.name == "brass"
        speaker.play(Cue.BEGIN)
    speaker.play(Cue.END)
    assert speaker.complaint == "the speaker brass fell silent: unplugged"
    assert speaker.name is None and player.played == []


def test_ctrl_c_does_not_wait_for_a_tone():
    player, began = Player(), time.monotonic()
    with pytest.raises(KeyboardInterrupt), opened_speaker(player) as speaker:
        speaker.play(Cue.BEGIN)
        assert player.begun.wait(10)
        speaker.play(Cue.END)
        raise KeyboardInterrupt
    assert time.monotonic() - began < 1.8, "it waited for the tone: 2 s"
    player.may_play.set()


def test_without_a_speaker_nothing_happens():
    with opened_speaker(None) as speaker:
        speaker.play(Cue.BEGIN)
    assert speaker.name is None and speaker.complaint is None
