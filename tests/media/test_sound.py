"""The robot's microphone through the SDK: five minutes of numbered samples, in the loop that observes them."""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.interface import AUDIO_HZ, CONTROL_HZ
from reachy_kit.runtime.perception.hearing.listening import Hearing
from reachy_kit.runtime.robots.lifecycle import connected
from reachy_kit.runtime.robots.sdk import SdkRobot, SdkRobotConfig
from reachy_kit.runtime.rollout import rollout

from .conftest import process
from .microphone_sender import ASOUNDRC, CHANNELS, RATE, WRAP

pytestmark = pytest.mark.media
SECONDS = 60 * float(os.environ.get("MEDIA_MINUTES", "5"))


@pytest.fixture(scope="module")
def sound_home(tmp_path_factory):
    """The home whose .asoundrc names the devices. ALSA reads it once in a process: all tests share its FIFOs."""
    home = tmp_path_factory.mktemp("sound")
    fifos = {name: home / name for name in ("microphone", "speaker")}
    (home / ".asoundrc").write_text(ASOUNDRC.format(**fifos, rate=RATE, channels=CHANNELS))
    return home, fifos


@pytest.fixture
def microphone(sound_home, monkeypatch):
    """The process that the robot's microphone hears."""
    home, fifos = sound_home
    monkeypatch.setenv("HOME", str(home))
    script = Path(__file__).with_name("microphone_sender.py")
    with process(sys.executable, script, *fifos.values(), ready="ready") as sender:
        yield sender


@pytest.fixture
def hearing_robot(address, open_camera, microphone):
    """A robot whose observations hold raw sound. The SDK reads it locally where there is a camera's socket."""
    with (
        open_camera(1920, 1080, 1),
        connected(SdkRobot(SdkRobotConfig(address.host, address.port, microphone=True))) as robot,
        Hearing(robot.open_microphone(), raw=True) as hearing,
    ):
        robot.listen_with(hearing)
        yield robot
        microphone.kill()  # ALSA waits for a FIFO that lives, and GStreamer for ALSA


class Sounds:
    """Collects the sound of the observations, and when it could be used."""

    def __init__(self):
        self.blocks, self.times, self.claimed = [], [], []

    def on_episode_start(self, seed):
        pass

    def on_step(self, step):
        now = time.monotonic()
        if step.index == 0:  # what was heard before the first decision
            self.blocks.append(step.observation.audio)
            self.times.append(now)
            self.claimed.append(step.observation.audio_time)
        audio = step.next_observation.audio
        if len(audio):
            self.blocks.append(audio)
            self.times.append(now)
            self.claimed.append(step.next_observation.audio_time)

    def on_episode_end(self, episode):
        pass


def spread(times):
    return f"p50 {1e3 * np.median(times):.0f} p95 {1e3 * np.quantile(times, 0.95):.0f} ms"


@pytest.mark.timeout(900)
def test_five_minutes_of_sound_are_whole_and_young_and_cost_the_tick_nothing(hearing_robot, microphone, hold):
    sounds = Sounds()
    rollout(hearing_robot, hold, seconds=1.0, policy_hz=CONTROL_HZ)
    microphone.stdin.write("count\n")
    microphone.stdin.flush()
    begun = float(microphone.stdout.readline())
    episode = rollout(hearing_robot, hold, seconds=SECONDS, policy_hz=CONTROL_HZ, subscribers=[sounds])

    samples = np.round(np.concatenate(sounds.blocks) * WRAP).astype(int)
    first = int(np.flatnonzero(samples)[0])
    numbered = samples[first:]
    wrong = np.flatnonzero(np.diff(numbered) % WRAP != 1)
    breaks = [f"{numbered[at + 1] - numbered[at] - 1} samples missing at {at / AUDIO_HZ:.2f} s" for at in wrong[:5]]
    # of each observation, its oldest and its newest sample
    ends = np.cumsum([len(block) for block in sounds.blocks]) - first
    counted = ends > AUDIO_HZ  # without those that waited for the first decision
    captured = begun + ends[counted] / AUDIO_HZ
    lengths = np.array([len(block) for block in sounds.blocks])[counted]
    used = np.array(sounds.times)[counted]
    newest, oldest = used - captured, used - captured + lengths / AUDIO_HZ
    stamped = np.array(sounds.claimed)[counted] - captured
    print(
        f"\n{len(numbered) / AUDIO_HZ:.1f} s of sound, {len(wrong)} breaks {breaks}; age of an observation's oldest "
        f"sample {spread(oldest)}, newest {spread(newest)}; stamps off by {spread(stamped)}; the tick's work p99 "
        f"{1e3 * np.quantile(episode.work, 0.99):.1f} ms, period p99 {1e3 * np.quantile(episode.periods, 0.99):.1f} ms"
    )
    assert numbered[0] == 1
    assert len(wrong) == 0
    assert len(numbered) / AUDIO_HZ == pytest.approx(used[-1] - begun, abs=0.5)
    assert used[-1] - begun > SECONDS - 1.5
    assert np.quantile(oldest, 0.95) <= 0.060
    assert np.quantile(episode.work, 0.99) < 0.010  # reading an empty queue takes 20 ms


def test_a_microphone_that_dies_does_not_hold_up_the_tick_and_is_reported(hearing_robot, microphone, hold):
    rollout(hearing_robot, hold, seconds=0.5, policy_hz=CONTROL_HZ)
    microphone.send_signal(signal.SIGUSR1)
    died, slowest = time.monotonic(), 0.0
    with pytest.raises(KitError, match="has stopped sending sound"):
        while time.monotonic() < died + 3:
            began = time.perf_counter()
            hearing_robot.get_observation()
            slowest = max(slowest, time.perf_counter() - began)
            hearing_robot.wait_next_tick()
    assert time.monotonic() - died < 0.7
    assert slowest < 0.015
