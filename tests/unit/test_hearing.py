"""Hearing without a device: what is heard in sounds with known truth, and what becomes of a microphone's faults."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from reachy_kit.runtime.errors import KitError, WrongUseError
from reachy_kit.runtime.geometry import wrap_angle
from reachy_kit.runtime.interface import AUDIO_HZ, NEUTRAL, YAW, Observation
from reachy_kit.runtime.perception.hearing.heard_features import HeardFeatures
from reachy_kit.runtime.perception.hearing.listening import Hearing
from reachy_kit.runtime.perception.hearing.sound_analyser import SoundAnalyser
from reachy_kit.runtime.perception.hearing.sound_source import Bearing, SampleBuffer
from reachy_kit.runtime.perception.sound import BEAT_FEATURES, HEARING_FEATURES, SOUND_FEATURES
from reachy_kit.runtime.robots.daemon import DaemonAddress
from reachy_kit.runtime.robots.daemon_directions import DaemonDirections
from reachy_kit.runtime.robots.media.bounded_close import close_within
from reachy_kit.runtime.robots.media.sdk_microphone import SdkMicrophone
from reachy_sim.sensing.hearing_accuracy import SPACING, hear
from reachy_sim.sensing.synthetic_sound import drums, from_direction, in_a_room, speech

RNG_SEED = 0


@pytest.fixture
def rng():
    return np.random.default_rng(RNG_SEED)


# What is heard


@pytest.mark.parametrize("pattern", ["house", "rock"])
@pytest.mark.parametrize("tempo", [70, 120, 160])
def test_a_beat_is_tracked_in_phase_and_without_octave_errors(rng, tempo, pattern):
    sound, beats = drums(tempo / 60, 8.0, rng, pattern=pattern)
    late = [moment for moment in hear(in_a_room(sound[:, None], rng)) if moment.time > 5.0]
    assert all(moment.beat for moment in late)
    for moment in late:
        assert moment.beat.tempo * 60 == pytest.approx(tempo, rel=0.02)
        off = wrap_angle(np.array(moment.beat.phase - 2 * np.pi * (moment.time - beats[0]) * tempo / 60))
        assert abs(off) < 2 * np.pi * 0.04  # of a beat


def test_speech_and_noise_have_no_beat(rng):
    spoken = np.concatenate([speech(sentence) for sentence in range(6)])[:, None]
    assert not any(moment.beat for moment in hear(in_a_room(spoken, rng)))
    assert not any(moment.beat for moment in hear(in_a_room(np.zeros((5 * AUDIO_HZ, 1), np.float32), rng)))


def test_a_beat_that_ends_is_no_longer_tracked(rng):
    sound, _ = drums(2.0, 6.0, rng)
    heard = hear(np.pad(sound[:, None], ((0, 8 * AUDIO_HZ), (0, 0))))
    assert any(moment.beat for moment in heard if moment.time < 6)
    assert not heard[-1].beat


@pytest.mark.parametrize("right", [-60, -20, 0, 45])
def test_a_voice_is_heard_from_its_direction(rng, right):
    spoken = in_a_room(from_direction(np.pad(speech(0), 8000), np.deg2rad(right), SPACING), rng)
    bearings = [moment.bearing.right for moment in hear(spoken, SPACING) if moment.speaking and moment.bearing]
    assert np.rad2deg(np.median(bearings)) == pytest.approx(right, abs=4)


def test_drums_and_noise_are_not_voices(rng):
    voice = [moment.speaking for moment in hear(in_a_room(speech(3)[:, None], rng))]
    assert np.mean(voice[10:-10]) > 0.8
    rhythm, _ = drums(2.0, 4.0, rng)
    assert not any(moment.speaking for moment in hear(in_a_room(rhythm[:, None], rng)))


# A microphone and its faults


class FakeClock:
    """Seconds that pass when the test says so."""

    now = 100.0

    def __call__(self):
        return self.now


class FakeMicrophone:
    """A source whose blocks the test writes, each captured at its end."""

    name = "fake"

    def __init__(self, clock=None, rate=AUDIO_HZ, channels=2, turns_with_head=False):
        self.clock, self.sample_rate, self.channels = clock, rate, channels
        self.spacing = SPACING if channels > 1 else None
        self.turns_with_head = turns_with_head

    def start(self, receive):
        self.receive = receive
        self.send(np.zeros((self.sample_rate // 50, self.channels), np.float32))

    def stop(self):
        pass

    def send(self, sound):
        """Write blocks of 20 ms."""
        size = self.sample_rate // 50
        for start in range(0, len(sound) - size + 1, size):
            if self.clock:
                self.clock.now += 0.02
            self.receive(sound[start : start + size].astype(np.float32))


def observed(hearing, clock, yaw=0.0):
    """The features now, by name, once all that was sent has been analysed."""
    deadline = time.monotonic() + 60
    while hearing.heard.time < clock.now - 0.011 and time.monotonic() < deadline:
        time.sleep(0.002)
    state = NEUTRAL.copy()
    state[YAW] = yaw
    return dict(zip(HEARING_FEATURES, hearing.add_to(Observation(state, clock.now), clock.now).sound, strict=True))


def listen(source, sound, hearing, clock, yaw=0.0):
    """Send in pieces, as the loop would see them."""
    size = source.sample_rate // 25
    for start in range(0, len(sound), size):
        source.send(sound[start : start + size])
        features = observed(hearing, clock, yaw)
    return features


def sentence_from(right, rng):
    return in_a_room(from_direction(speech(1), right, SPACING), rng)


def test_a_microphone_beside_the_robot_is_converted_to_the_heads_bearing(rng):
    clock = FakeClock()
    source = FakeMicrophone(clock)
    with Hearing(source, clock=clock) as hearing:
        # 0.5 rad right of the base while the head looks 0.3 rad to the left: 0.8 rad right of the head.
        features = listen(source, sentence_from(0.5, rng), hearing, clock, yaw=0.3)
    assert features["sound_right"] == pytest.approx(0.8, abs=0.1)


def test_a_sound_ages_when_it_stops_and_is_forgotten_in_the_next_episode(rng):
    clock = FakeClock()
    source = FakeMicrophone(clock)
    with Hearing(source, clock=clock) as hearing:
        listen(source, sentence_from(0.5, rng), hearing, clock)
        features = listen(source, 1e-4 * rng.normal(size=(12_800, 2)), hearing, clock)
        assert features["sound_heard"] == 0
        assert features["sound_age"] > 0.3
        assert features["sound_right"] == pytest.approx(0.5, abs=0.1)
        perception = HeardFeatures(hearing, SOUND_FEATURES)
        perception.reset(1)
        observation = hearing.add_to(Observation(NEUTRAL, clock.now), clock.now)
        assert perception.perceive(observation).tolist() == [0, 0, 0, 1]


def test_another_rate_is_converted(rng):
    clock = FakeClock()
    source = FakeMicrophone(clock, rate=48_000)
    sound, beats = drums(2.0, 6.0, rng)
    slow = np.interp(np.arange(0, 6, 1 / 48_000), np.arange(len(sound)) / AUDIO_HZ, sound)
    with Hearing(source, clock=clock) as hearing:
        began = clock.now
        features = listen(source, np.stack([slow, slow], axis=-1), hearing, clock)
    true = 2 * np.pi * 2.0 * (clock.now - began - beats[0] - features["beat_age"])
    off = wrap_angle(np.array(np.arctan2(features["beat_sin"], features["beat_cos"]) - true))
    assert features["beat_tempo"] == pytest.approx(2.0, rel=0.02)
    assert abs(off) < 2 * np.pi * 0.05


def test_raw_sound_is_handed_over_once_and_without_gaps(rng):
    clock = FakeClock()
    source = FakeMicrophone(clock, channels=1)
    sound = 0.1 * rng.normal(size=(AUDIO_HZ, 1)).astype(np.float32)
    parts = []
    with Hearing(source, raw=True, clock=clock) as hearing:
        observed(hearing, clock)
        for start in range(0, AUDIO_HZ, 1600):
            source.send(sound[start : start + 1600])
            observed_at = clock.now
            while sum(map(len, parts)) < start + 1600:
                observation = hearing.add_to(Observation(NEUTRAL, clock.now), clock.now)
                parts.append(observation.audio)
            assert observation.audio_time == pytest.approx(observed_at, abs=0.001)
    np.testing.assert_array_equal(np.concatenate(parts), sound[:, 0])


def test_a_microphone_that_stops_is_reported():
    clock = FakeClock()
    source = FakeMicrophone(clock)
    with Hearing(source, clock=clock) as hearing:
        observed(hearing, clock)
        clock.now += 1.0
        with pytest.raises(KitError, match="the microphone fake has stopped sending sound"):
            hearing.add_to(Observation(NEUTRAL, clock.now), clock.now)


def test_a_microphone_that_repeats_itself_is_reported(rng):
    clock = FakeClock()
    source = FakeMicrophone(clock)
    with Hearing(source, clock=clock) as hearing:
        source.send(np.tile(0.1 * rng.normal(size=(1280, 2)), (10, 1)))
        with pytest.raises(KitError, match="repeats the same sound"):
            hearing.add_to(Observation(NEUTRAL, clock.now), clock.now)


def test_a_microphone_without_a_clock_is_reported():
    clock = FakeClock()
    source = FakeMicrophone(clock)
    with Hearing(source, clock=clock) as hearing:
        for _ in range(100):
            clock.now += 0.01
            source.receive(np.zeros((1600, 2), np.float32))
        with pytest.raises(KitError, match="sends more than it can hear"):
            hearing.add_to(Observation(NEUTRAL, clock.now), clock.now)


def test_a_microphone_that_sends_nothing_is_refused(monkeypatch):
    source = FakeMicrophone()
    source.start = lambda receive: None
    monkeypatch.setattr("reachy_kit.runtime.perception.hearing.listening._FIRST_SOUND", 0.1)
    with pytest.raises(KitError, match="sends no sound"), Hearing(source):
        pass


@pytest.mark.parametrize("error", [KitError("the daemon is gone"), KeyboardInterrupt()], ids=repr)
def test_a_microphone_is_closed_where_the_wait_for_it_ends_early(error):
    source, directions = FakeMicrophone(FakeClock()), Directions()
    stopped = []
    source.stop = lambda: stopped.append("microphone")
    directions.stop = lambda: stopped.append("directions")

    def fail():
        raise error

    directions.start = fail
    with pytest.raises(type(error)), Hearing(source, directions):
        pass
    assert stopped == ["microphone", "directions"]


def test_sound_that_cannot_be_analysed_is_reported(monkeypatch):
    clock = FakeClock()
    source = FakeMicrophone(clock)

    def fail(analyser, samples, captured):
        raise FloatingPointError("overflow")

    with Hearing(source, clock=clock) as hearing:
        observed(hearing, clock)
        monkeypatch.setattr(SoundAnalyser, "update", fail)
        source.send(np.zeros((640, 2), np.float32))
        wait_for(lambda: hearing.lost)
        with pytest.raises(KitError, match="the microphone fake cannot be analysed: FloatingPointError"):
            hearing.add_to(Observation(NEUTRAL, clock.now), clock.now)


@pytest.mark.parametrize(
    ("gain", "said"), [(100.0, "clips: turn its level down"), (0.0, "is it muted"), (0.5, None)], ids=str
)
def test_a_level_that_does_not_fit_is_said(rng, gain, said):
    clock = FakeClock()
    source = FakeMicrophone(clock)
    with Hearing(source, clock=clock) as hearing:
        observed(hearing, clock)
        sound = np.clip(gain * 0.1 * rng.normal(size=(6400, 2)), -1, 1)
        source.send(sound)
        observed(hearing, clock)
        assert (said in hearing.complaints[0]) if said else not hearing.complaints


def test_one_channel_gives_a_beat_but_no_direction():
    clock = FakeClock()
    with Hearing(FakeMicrophone(clock, channels=1), clock=clock) as hearing:
        HeardFeatures(hearing, BEAT_FEATURES)
        with pytest.raises(WrongUseError, match="gives no direction"):
            HeardFeatures(hearing, SOUND_FEATURES)


class Directions:
    """An array that has measured one direction."""

    latest = None

    def start(self):
        pass

    def stop(self):
        pass


def test_the_robots_own_direction_goes_before_the_channels():
    clock = FakeClock()
    source, directions = FakeMicrophone(clock, turns_with_head=True), Directions()
    with Hearing(source, directions, clock=clock) as hearing:
        assert observed(hearing, clock, yaw=1.0)["sound_heard"] == 0
        directions.latest = Bearing(0.4, clock.now)
        features = observed(hearing, clock, yaw=1.0)
    assert features["sound_heard"] == 1
    assert features["sound_right"] == pytest.approx(0.4)


# The buffer between the threads


def test_times_follow_the_samples_not_the_threads_delays(rng):
    clock = FakeClock()
    buffer = SampleBuffer(AUDIO_HZ, 1, clock)
    errors = []
    for block in range(1, 300):
        clock.now = 100.0 + 0.02 * block + rng.exponential(0.004)  # woken late
        buffer.write(rng.normal(size=(320, 1)).astype(np.float32))
        _, captured = buffer.read()
        errors.append(captured - (100.0 + 0.02 * block))
    assert 0 <= np.median(errors[50:]) < 0.002
    assert np.ptp(errors[50:]) < 0.003


def test_a_slow_reader_loses_the_oldest_samples_and_knows_how_many():
    buffer = SampleBuffer(AUDIO_HZ, 1, FakeClock())
    for block in range(150):
        buffer.write(np.full((320, 1), block, np.float32))
    samples, _ = buffer.read()
    assert len(samples) == 2 * AUDIO_HZ
    assert buffer.dropped == 150 * 320 - 2 * AUDIO_HZ
    assert samples[0, 0] == 50
    assert samples[-1, 0] == 149


# The robot's own array


class Media:
    """The SDK's media manager: a queue of buffers."""

    def __init__(self, buffers, channels=2, rate=AUDIO_HZ):
        self.buffers, self.channels, self.rate, self.recording = list(buffers), channels, rate, False

    def get_input_audio_samplerate(self):
        return self.rate

    def get_input_channels(self):
        return self.channels

    def start_recording(self):
        self.recording = True

    def stop_recording(self):
        self.recording = False

    def get_audio_sample(self):
        return self.buffers.pop(0) if self.buffers else None


def wait_for(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_the_arrays_queue_is_drained_whatever_the_loop_does(rng):
    buffers = [rng.normal(size=(160, 2)).astype(np.float32) for _ in range(200)]
    media, received = Media(buffers), []
    microphone = SdkMicrophone(media, "robot")
    microphone.start(received.append)
    wait_for(lambda: len(received) == 200)
    microphone.stop()
    np.testing.assert_array_equal(np.concatenate(received), np.concatenate(buffers))
    assert not media.recording
    assert microphone.turns_with_head


def test_a_device_that_does_not_close_holds_up_nobody(rng):
    media = Media([rng.normal(size=(160, 2)).astype(np.float32)])
    forever = media.stop_recording = threading.Event().wait
    microphone = SdkMicrophone(media, "robot")
    microphone.start(lambda block: None)
    began = time.monotonic()
    microphone.stop()
    assert time.monotonic() - began < 10
    assert not close_within(0.01, forever)
    assert close_within(5, lambda: None)


def test_an_sdk_without_sound_is_refused():
    with pytest.raises(KitError, match="--microphone default listens through this computer"):
        SdkMicrophone(Media([], rate=-1, channels=-1), "robot")


@pytest.fixture
def array_daemon():
    """A daemon that answers for the array; what it says can be changed."""
    said = {"answer": None, "count": 0, "answers": threading.Event()}
    said["answers"].set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            said["count"] += 1
            said["answers"].wait()
            body = json.dumps(said["answer"]).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield DaemonAddress("127.0.0.1", server.server_port), said
    server.shutdown()
    server.server_close()


def test_the_daemons_direction_is_right_of_the_front(array_daemon):
    address, said = array_daemon
    directions = DaemonDirections(address)
    assert not directions.is_available()
    said["answer"] = {"angle": np.pi, "speech_detected": False}
    assert directions.is_available()
    directions.start()
    asked = said["count"]
    wait_for(lambda: said["count"] > asked + 2)
    assert directions.latest is None  # nobody speaks
    said["answer"] = {"angle": np.pi, "speech_detected": True}
    wait_for(lambda: directions.latest)
    directions.stop()
    assert directions.latest.right == pytest.approx(np.pi / 2)
    assert directions.latest.time == pytest.approx(time.monotonic(), abs=1)


def test_a_robot_lies_down_without_an_answer_about_the_direction(array_daemon):
    address, said = array_daemon
    said["answers"].clear()
    directions = DaemonDirections(address)
    directions.start()
    wait_for(lambda: said["count"])
    began = time.monotonic()
    directions.stop()
    assert time.monotonic() - began < 0.1
    said["answers"].set()
