"""A microphone of this computer, through the real sounddevice and a virtual ALSA device: the robot turns and dances."""

import math
import time

import numpy as np
import pytest

from reachy_kit.runtime.interface import AUDIO_HZ, NEUTRAL, PITCH, YAW, Observation
from reachy_kit.runtime.perception.features import units_of
from reachy_kit.runtime.perception.sound import BEAT_FEATURES, HEARING_FEATURES, SOUND_FEATURES
from reachy_sim.sensing.synthetic_sound import drums, from_direction, speech

from .virtual_microphone import VirtualMicrophone

NOD = math.radians(8.0)
TEMPO = 2.0


@pytest.fixture
def make_microphone(tmp_path):
    """Makes virtual ALSA devices."""
    made = []

    def make(**options):
        made.append(VirtualMicrophone(tmp_path, **options))
        return made[-1]

    yield make
    for microphone in made:
        microphone.close()


@pytest.fixture
def here(make_microphone, monkeypatch):
    """A virtual device that this process' PortAudio knows."""
    import sounddevice

    microphone = make_microphone()
    for name, value in microphone.environment.items():
        monkeypatch.setenv(name, value)
    sounddevice._terminate()
    sounddevice._initialize()
    return microphone


def feature_model(features: int, weights: np.ndarray, bias: np.ndarray, heard: int, state: np.ndarray) -> bytes:
    """An ONNX graph: action = bias + (features @ weights) · features[heard] + state @ its weights."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    constants = {
        "weights": weights.astype(np.float32),
        "state_weights": state.astype(np.float32),
        "bias": bias.astype(np.float32),
        "from": np.array([1]),
        "to": np.array([2]),
        "axis": np.array([1]),
        "heard_column": np.array([heard]),
        "shape": np.array([1, 8, 9]),
    }
    nodes = [
        helper.make_node("Slice", ["environment_state", "from", "to", "axis"], ["now"]),
        helper.make_node("Slice", ["state", "from", "to", "axis"], ["pose"]),
        helper.make_node("MatMul", ["now", "weights"], ["moved"]),
        helper.make_node("MatMul", ["pose", "state_weights"], ["held"]),
        helper.make_node("Gather", ["now", "heard_column"], ["heard"], axis=2),
        helper.make_node("Mul", ["moved", "heard"], ["wanted"]),
        helper.make_node("Add", ["wanted", "bias"], ["raised"]),
        helper.make_node("Add", ["raised", "held"], ["row"]),
        helper.make_node("Expand", ["row", "shape"], ["action"]),
    ]
    shapes = {"state": [1, 2, 9], "environment_state": [1, 2, features], "last_action": [1, 9], "noise": [1, 8, 9]}
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    outputs = [helper.make_tensor_value_info("action", TensorProto.FLOAT, [1, 8, 9])]
    initial = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "linear", inputs, outputs, initial),
        ir_version=8,
        opset_imports=[helper.make_opsetid("", 17)],
    )
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@pytest.fixture
def dance_bundle(make_bundle):
    """Nods on the beat: the pitch is the beat's cosine, ahead of the robot's motors and the virtual device's pipe."""
    ahead = 2 * math.pi * TEMPO * (0.15 + 0.064)
    weights = np.zeros((len(BEAT_FEATURES), 9))
    weights[:2, PITCH] = -1.25 * NOD * math.sin(ahead), 1.25 * NOD * math.cos(ahead)
    model = feature_model(len(BEAT_FEATURES), weights, NEUTRAL, BEAT_FEATURES.index("beat_heard"), np.zeros((9, 9)))
    return make_bundle(
        NEUTRAL, model, task="dance", environment_state=BEAT_FEATURES, environment_state_units=units_of(BEAT_FEATURES)
    )


@pytest.fixture
def turning_bundle(make_bundle):
    """Turns the head from where it is by a share of the bearing, while somebody is heard."""
    weights, state = np.zeros((len(SOUND_FEATURES), 9)), np.zeros((9, 9))
    weights[0, YAW] = -0.3
    state[YAW, YAW] = 1.0
    model = feature_model(len(SOUND_FEATURES), weights, NEUTRAL, SOUND_FEATURES.index("sound_heard"), state)
    return make_bundle(
        NEUTRAL,
        model,
        task="sound_orient",
        environment_state=SOUND_FEATURES,
        environment_state_units=units_of(SOUND_FEATURES),
    )


# In this process


@pytest.mark.long  # a virtual device keeps time only on a computer that is not busy
def test_sound_arrives_whole_and_on_time(here):
    from reachy_kit.runtime.perception.hearing.listening import Hearing
    from reachy_kit.runtime.perception.hearing.local_microphone import LocalMicrophone

    sound, beats = drums(TEMPO, 8.0, np.random.default_rng(0))
    with Hearing(LocalMicrophone("robotmic"), raw=True) as hearing:
        here.play(sound)
        ages, off, raw = [], [], []
        while (now := time.monotonic()) < here.started_at + 5.0:
            observation = hearing.add_to(Observation(NEUTRAL, now), now)
            features = dict(zip(HEARING_FEATURES, observation.sound, strict=True))
            raw.append(observation.audio)
            if features["beat_heard"] and now > here.started_at + 3.5:
                ages.append(features["beat_age"])
                since = now - features["beat_age"] - here.started_at - beats[0]
                phase = math.atan2(features["beat_sin"], features["beat_cos"])
                off.append(np.angle(np.exp(1j * (phase - 2 * math.pi * TEMPO * since))))
            time.sleep(0.02)
    assert len(ages) > 20
    assert np.median(ages) < 0.06
    # The device's own buffers are part of it: a pipe of 64 ms and PortAudio's.
    assert -0.3 < np.median(off) / (2 * math.pi * TEMPO) < 0.05
    assert sum(map(len, raw)) > 4.0 * AUDIO_HZ


def test_a_device_that_dies_is_noticed(here, until):
    from reachy_kit.runtime.errors import KitError
    from reachy_kit.runtime.perception.hearing.listening import Hearing
    from reachy_kit.runtime.perception.hearing.local_microphone import LocalMicrophone

    here.play(0.1 * np.random.default_rng(0).normal(size=(AUDIO_HZ, 2)))
    with Hearing(LocalMicrophone("robotmic")) as hearing:
        hearing.add_to(Observation(NEUTRAL, 0.0), 0.0)
        here.die()
        until(lambda: hearing.lost)
        with pytest.raises(KitError, match="the microphone robotmic"):
            hearing.add_to(Observation(NEUTRAL, 0.0), 0.0)


# The robot


def wait_until_on(running, until):
    """Wait until a command says that the microphone is on."""
    until(lambda: (running.folder / "err").exists() and "is on" in running.err, 90)


@pytest.mark.long  # a virtual device keeps time only on a computer that is not busy
def test_the_robot_dances_to_a_beat(kit, daemon, dance_bundle, make_microphone, until):
    microphone = make_microphone()
    sound, beats = drums(TEMPO, 8.0, np.random.default_rng(0))
    microphone.play(sound)
    running = kit.start(
        "run", dance_bundle, "--robot", daemon.address, "--microphone", "robotmic", "--seconds", 9,
        before=microphone.before,
    )  # fmt: skip
    wait_until_on(running, until)
    began, rows = time.monotonic(), []
    while (now := time.monotonic()) < began + 7.5:
        rows.append((now, daemon.state[PITCH]))
        time.sleep(0.02)
    assert running.wait().code == 0
    assert "nothing of it is recorded" in running.err
    times, pitch = np.array([row for row in rows if row[0] > began + 4.0]).T
    beat = 2 * math.pi * TEMPO * (times - microphone.started_at - beats[0])
    swing = 2 * np.mean((pitch - pitch.mean()) * np.exp(-1j * beat))
    assert abs(swing) > 0.3 * NOD  # the motors of a busy simulation carry out less
    assert abs(np.angle(swing)) < math.pi / 3  # down on the beat


def test_the_robot_turns_to_a_voice(kit, daemon, turning_bundle, make_microphone, until):
    microphone = make_microphone()
    left = math.radians(40)
    microphone.play(voice_from(left))
    running = kit.start(
        "run", turning_bundle, "--robot", daemon.address, "--microphone", "robotmic@0.1", "--seconds", 6,
        before=microphone.before,
    )  # fmt: skip
    wait_until_on(running, until)
    until(lambda: abs(daemon.state[YAW] - left) < math.radians(6), 8)
    assert running.wait().code == 0


def voice_from(left: float) -> np.ndarray:
    """Four sentences, spoken in a direction, rad left of straight ahead."""
    return np.concatenate([from_direction(speech(sentence), -left, 0.1) for sentence in range(4)])


@pytest.fixture(scope="module")
def trained_on_sound(make_once):
    """A bundle that has learned sound_orient in the simulator, from fifty demonstrations."""
    from reachy_kit.workflows.export import export_run
    from reachy_kit.workflows.inputs.session import open_session
    from reachy_kit.workflows.record import record_episodes
    from reachy_kit.workflows.training.train_imitation import train_imitation
    from reachy_sim.tasks import variant_by_name

    def record(path):
        variant = variant_by_name("sound_orient")
        with open_session("sim", variant, camera=False) as session:
            record_episodes(session, variant, path, episodes=50, hz=25, seed=0, camera=False)

    data = make_once("recorded/sound_orient", record)
    run = make_once(
        "trained/sound_orient", lambda path: train_imitation(data, path, seed=0, settings={"max_steps": 1500})
    )
    return make_once("exported/sound_orient.bundle", lambda path: export_run(run, path))


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("beside", [(), ("idle",)], ids=["alone", "with idle"])
def test_a_policy_trained_in_the_simulator_turns_to_a_voice_in_the_microphone(
    kit, daemon, trained_on_sound, make_microphone, until, beside
):
    microphone = make_microphone()
    left, right = math.radians(60), math.radians(-45)
    microphone.play(voice_from(left))
    running = kit.start(
        "run", trained_on_sound, *beside, "--robot", daemon.address, "--microphone", "robotmic@0.1", "--seconds", 30,
        before=microphone.before,
    )  # fmt: skip
    wait_until_on(running, until)
    until(lambda: abs(daemon.state[YAW] - left) < math.radians(10), 12)
    microphone.play(voice_from(right))
    until(lambda: abs(daemon.state[YAW] - right) < math.radians(10), 12)
    assert running.wait().code == 0
    assert daemon.lies_down


@pytest.mark.long
def test_the_written_behaviour_turns_to_a_voice_too(kit, daemon, make_microphone, until):
    microphone = make_microphone()
    left = math.radians(50)
    microphone.play(voice_from(left))
    running = kit.start(
        "run", "sound-orient", "idle", "--robot", daemon.address, "--microphone", "robotmic@0.1", "--seconds", 12,
        "--json", before=microphone.before,
    )  # fmt: skip
    wait_until_on(running, until)
    until(lambda: abs(daemon.state[YAW] - left) < math.radians(10), 12)
    ended = running.wait()
    assert ended.code == 0
    assert ended.json["shares"]["sound-orient"] > 0.5
    assert daemon.lies_down


def test_a_microphone_that_dies_ends_the_episode_and_the_robot_lies_down(
    kit, daemon, dance_bundle, make_microphone, until
):
    microphone = make_microphone()
    microphone.play(drums(TEMPO, 8.0, np.random.default_rng(0))[0])
    running = kit.start(
        "run", dance_bundle, "--robot", daemon.address, "--microphone", "robotmic", "--seconds", 30,
        before=microphone.before,
    )  # fmt: skip
    wait_until_on(running, until)
    microphone.die()
    running.wait().says(1, "the microphone robotmic")
    assert daemon.lies_down


# Recording


def columns(dataset):
    import pyarrow.parquet as parquet

    (file,) = dataset.glob("data/*/*.parquet")
    return parquet.read_table(file)


def test_raw_sound_and_its_features_are_recorded(kit, daemon, make_microphone):
    microphone = make_microphone(channels=1, lossless=True)
    sound, _ = drums(TEMPO, 8.0, np.random.default_rng(0))
    microphone.play(sound)
    kit.run(
        "record", "--robot", "daemon", "--task", "dance", "--episodes", 1, "--audio", "raw", "--microphone", "robotmic",
        "--out", "heard", before=daemon.as_default + microphone.before,
    ).says(0)  # fmt: skip
    table = columns(kit.folder / "heard")
    features, samples = (np.array(table[name].to_pylist()) for name in ("kit.sound", "kit.audio"))
    assert features.shape == (150, len(HEARING_FEATURES))
    assert samples.shape == (150, AUDIO_HZ // 25)
    state = np.array(table["observation.environment_state"].to_pylist())
    first = HEARING_FEATURES.index(BEAT_FEATURES[0])
    np.testing.assert_array_equal(features[:, first : first + len(BEAT_FEATURES)], state)
    heard = samples.ravel().astype(float)
    played = np.tile(np.round(sound * (2**15 - 1)), 2)
    last_second = heard[-AUDIO_HZ:]
    at = np.argmax(np.correlate(played, last_second, "valid"))
    np.testing.assert_allclose(played[at : at + AUDIO_HZ], last_second, atol=1)


LISTENS = """
import sounddevice
def refuse(*arguments, **options):
    raise SystemExit("the microphone was opened")
sounddevice.InputStream = refuse
"""


def test_the_microphone_stays_closed_unless_sound_is_asked_for(kit):
    for task in ("look_at", "sound_orient"):
        kit.run(
            "record", "--robot", "sim", "--task", task, "--episodes", 1, "--out", f"data/{task}", before=LISTENS
        ).says(0)  # fmt: skip
        assert "kit.sound" not in columns(kit.folder / "data" / task).column_names


# Wrong use


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("record --robot daemon --task dance --microphone robotmic", "--audio features, which opens the microphone"),
        ("record --robot sim --audio features --microphone robotmic", "take --robot daemon"),
        ("record --robot daemon --audio features", "a simulated robot has no microphone"),
        ("record --robot sim --microphone robotmic", "--microphone has no use here"),
        ("record --robot sim --audio loud", "--audio loud does not exist; there are off, features and raw"),
        ("record --robot daemon --audio raw --microphone nothing", "it does not exist; there are 0 robotmic"),
        ("record --robot daemon --audio raw --microphone robotmic@7", "must be 0.01 to 1 m"),
    ],
)
def test_what_cannot_be_heard_is_refused_before_the_robot_moves(kit, make_microphone, arguments, said):
    microphone = make_microphone()
    kit.run(*arguments.split(), "--episodes", 1, "--out", "none", before=microphone.before).says(2, said)
    assert not (kit.folder / "none").exists()


@pytest.mark.long
def test_a_microphone_with_one_channel_cannot_tell_a_direction(kit, daemon, turning_bundle, make_microphone):
    microphone = make_microphone(channels=1)
    microphone.play(speech(0))
    running = kit.run(
        "run", turning_bundle, "--robot", daemon.address, "--microphone", "robotmic", "--seconds", 1,
        before=microphone.before,
    )  # fmt: skip
    running.says(0)
    assert "both channels of the microphone robotmic are the same, so they give no direction" in running.err


def test_portaudio_that_is_missing_is_named(kit):
    without = "import ctypes.util; ctypes.util.find_library = lambda name: None"
    kit.run(
        "record", "--robot", "daemon", "--audio", "raw", "--microphone", "default", "--out", "none", before=without
    ).says(2, "PortAudio, which opens microphones, is missing", "apt-get install libportaudio2")
