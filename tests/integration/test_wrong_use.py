"""Wrong use of a command: an exit code, one or two lines that help, and nothing damaged."""

import json
import shutil
import socket
import threading
import zipfile

import numpy as np
import pytest

from reachy_kit.runtime.inference.bundle import MANIFEST
from reachy_kit.runtime.interface import NEUTRAL


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# --- no robot ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", [("run", "stubborn.bundle"), ("record", "--out", "data")], ids=["run", "record"])
def test_no_robot_answers_there(verb, kit, make_bundle):
    make_bundle(NEUTRAL)
    address = f"127.0.0.1:{free_port()}"
    kit.run(*verb, "--robot", address).says(3, f"no Reachy Mini daemon answers at {address}", "--robot daemon")
    assert not (kit.folder / "data").exists()


def test_something_else_answers_there(kit, make_bundle):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def chat():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connection.sendall(b"220 not HTTP at all\r\n")
                connection.close()

        threading.Thread(target=chat, daemon=True).start()
        result = kit.run("run", make_bundle(NEUTRAL), "--robot", f"127.0.0.1:{server.getsockname()[1]}")
    result.says(3, "no Reachy Mini daemon answers")


@pytest.mark.parametrize("robot", ["127.0.0.1:http", "127.0.0.1:99999", "127.0.0.1:"])
def test_a_port_that_is_not_a_number(robot, kit, make_bundle):
    kit.run("run", make_bundle(NEUTRAL), "--robot", robot).says(2, "the port")


def test_a_daemon_without_a_camera_when_the_camera_is_wanted(kit, make_bundle, daemon):
    result = kit.run("run", make_bundle(NEUTRAL), "--robot", daemon.address)
    result.says(1, "--no-media", "neither camera nor microphone")


# --- bundles -----------------------------------------------------------------------------------------------------


def test_no_such_bundle(kit):
    kit.run("run", "no.bundle", "--robot", "sim").says(2, "no.bundle does not exist", "reachy-kit export")


def test_a_bundle_with_a_flipped_byte(kit, make_bundle):
    bundle = make_bundle(NEUTRAL)
    content = bytearray(bundle.read_bytes())
    with zipfile.ZipFile(bundle) as archive:
        content[archive.getinfo("policy.onnx").header_offset + 60] ^= 1
    bundle.write_bytes(content)
    kit.run("run", bundle, "--robot", "sim").says(4, "stubborn.bundle", "Export it again")


def test_an_unpacked_bundle_whose_graph_was_exchanged(kit, make_bundle):
    folder = kit.folder / "unpacked"
    with zipfile.ZipFile(make_bundle(NEUTRAL)) as archive:
        archive.extractall(folder)
    assert kit.run("run", folder, "--robot", "sim", "--seconds", 0.2).code == 0
    other = make_bundle(NEUTRAL + 0.1)
    with zipfile.ZipFile(other) as archive:
        (folder / "policy.onnx").write_bytes(archive.read("policy.onnx"))
    kit.run("run", folder, "--robot", "sim").says(4, "policy.onnx does not match its manifest (sha256 differs)")


@pytest.mark.parametrize(
    "manifest, words",
    [
        ({"schema": 99}, "has schema 99; this reachy-kit reads schema 3"),
        ({"environment_state": ("sound_bearing",)}, "was trained on sound_bearing, not target"),
        ({"action": tuple("abcdefghi")}, "commands a, b, c"),
        ({"limits_profile": "circus"}, "wants the limits 'circus'"),
        ({"task": "juggle"}, "no task is called 'juggle'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_bundle_for_something_else(manifest, words, kit, make_bundle):
    code = 2 if "task" in manifest else 4
    kit.run("run", make_bundle(NEUTRAL, **manifest), "--robot", "sim").says(code, words)


def test_a_file_that_is_not_a_bundle(kit):
    (kit.folder / "photo.bundle").write_bytes(b"\x89PNG")
    kit.run("run", "photo.bundle", "--robot", "sim").says(4, "photo.bundle is not a readable bundle")


@pytest.mark.parametrize("model", ["garbage", "of another history"])
def test_a_bundle_whose_graph_does_not_run(model, kit, make_bundle):
    bundle = make_bundle(NEUTRAL, model=b"garbage") if model == "garbage" else make_bundle(NEUTRAL, n_obs_steps=5)
    kit.run("run", bundle, "--robot", "sim").says(4, "stubborn.bundle", "Export it again")


@pytest.mark.parametrize("action", [np.full(9, np.nan), np.full(9, np.inf)], ids=["nan", "infinite"])
def test_a_policy_that_returns_nan_or_infinity(action, kit, make_bundle):
    kit.run("run", make_bundle(action), "--robot", "sim").says(4, "not a number for head_x.pos", "was stopped")


# --- options -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "option, words",
    [
        (("--task", "juggle"), "no task is called 'juggle'; there are dance, look_at"),
        (("--teleop", "telepathy"), "--teleop telepathy does not exist; there are"),
        (("--perception", "sonar"), "--perception sonar does not exist"),
        (("--hz", "33"), "--hz 33 does not fit; there are 50, 25, 10"),
        (("--seed", "-5"), "seed"),
    ],
    ids=lambda value: value[0].strip("-") if isinstance(value, tuple) else "",
)
def test_an_option_of_record_that_does_not_exist(option, words, kit):
    result = kit.run("record", "--out", "data", "--episodes", 1, *option)
    assert result.code == 2, result
    assert words in result.err
    assert "Traceback" not in result.err
    assert not (kit.folder / "data").exists()


def test_geometry_of_a_real_robot(kit, make_bundle):
    result = kit.run("run", make_bundle(NEUTRAL), "--robot", "10.0.0.1", "--perception", "geometry")
    result.says(2, "a real robot has no --perception geometry")


def test_evaluating_on_a_real_robot(kit):
    kit.run("eval", "expert", "--robot", "127.0.0.1:1").says(2, "no ground truth")
    kit.run("eval", "expert", "--against", "sim").says(2, "one of them is sim, the other daemon")


@pytest.mark.parametrize(
    "name, code, words", [("missing", 2, "neither a run nor a bundle"), ("stubborn.bundle", 2, "not for track")]
)
def test_evaluating_what_cannot_be_evaluated(name, code, words, kit, make_bundle):
    make_bundle(NEUTRAL)
    kit.run("eval", name, "--task", "track", "--episodes", 1).says(code, words)


# --- datasets and runs -------------------------------------------------------------------------------------------


@pytest.fixture
def dataset(kit, recorded_dataset):
    """A copy that a test may damage."""
    return shutil.copytree(recorded_dataset, kit.folder / "look_at")


def rewrite(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def give_wheels(dataset):
    """Make a dataset that of a robot on wheels."""
    info = dataset / "meta/info.json"
    features = json.loads(info.read_text())["features"]
    features["action"]["names"] = [f"wheel_{number}.pos" for number in range(9)]
    rewrite(info, features=features)


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_recording_another_task_into_a_dataset(kit, dataset):
    before = contents(dataset)
    kit.run("record", "--out", dataset, "--task", "track").says(4, "holds task look_at, this recording has track")
    kit.run("record", "--out", dataset, "--hz", 10).says(4, "holds policy_hz 25, this recording has 10")
    kit.run("record", "--out", dataset, "--camera").says(4, "holds image_shape None")
    assert contents(dataset) == before


def test_recording_into_a_dataset_of_another_action_layout(kit, dataset):
    give_wheels(dataset)
    before = contents(dataset)
    kit.run("record", "--out", dataset).says(4, "wheel_0.pos")
    assert contents(dataset) == before


def test_recording_into_a_folder_of_something_else(kit):
    holiday = kit.folder / "holiday"
    (holiday / "photos").mkdir(parents=True)
    (holiday / "photos/beach.jpg").write_bytes(b"sand")
    kit.run("record", "--out", holiday).says(2, "is not a reachy-kit dataset")
    assert contents(kit.folder / "holiday") == {(holiday / "photos/beach.jpg").relative_to(holiday): b"sand"}


def test_recording_into_a_file(kit):
    (kit.folder / "notes.txt").write_text("keep me")
    kit.run("record", "--out", "notes.txt").says(2, "notes.txt")
    assert (kit.folder / "notes.txt").read_text() == "keep me"


@pytest.mark.parametrize("there", [True, False], ids=["empty", "missing"])
def test_training_on_nothing(there, kit):
    if there:
        (kit.folder / "empty").mkdir()
    kit.run("train", "imitation", "--dataset", "empty", "--out", "run").says(
        2, "empty is not a reachy-kit dataset", "reachy-kit record"
    )
    assert not (kit.folder / "run").exists()


def test_training_on_other_actions(kit, dataset):
    give_wheels(dataset)
    kit.run("train", "imitation", "--dataset", dataset, "--out", "run").says(4, "wheel_0.pos")
    assert not (kit.folder / "run").exists()


@pytest.mark.parametrize(
    "setting, words",
    [
        ("nonsense", "--set nonsense is not key=value"),
        ("speed=3", "no setting is called speed; there are"),
        ('max_steps="many"', "does not fit"),
        ("chunk_size=0", "chunk_size"),
        ("eval_every=0", "eval_every"),
        ("held_out=1.0", "held_out"),
    ],
)
def test_a_setting_that_makes_no_sense(setting, words, kit, recorded_dataset):
    result = kit.run("train", "imitation", "--dataset", recorded_dataset, "--out", "run", "--set", setting)
    result.says(2, words)
    assert not (kit.folder / "run").exists()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("bct", "does not exist; there are chunk, act, diffusion"),
        ("tdmpc", "learns from rewards"),
        ("gaussian_actor", "has no loss on demonstrations"),
        ("vqbet", "learns in two stages"),
        ("smolvla", "starts from pretrained weights, which reachy-kit does not download"),
    ],
)
def test_a_policy_class_that_cannot_be_trained(kind, words, kit, recorded_dataset):
    command = ("train", "imitation", "--dataset", recorded_dataset, "--out", "run", "--policy", kind)
    kit.run(*command).says(2, f"--policy {kind} ", words)
    assert not (kit.folder / "run").exists()


def test_a_configuration_that_cannot_be_read(kit, recorded_dataset):
    command = ("train", "imitation", "--dataset", recorded_dataset, "--out", "run", "--config", "fit.toml")
    kit.run(*command).says(2, "--config fit.toml cannot be read")
    (kit.folder / "fit.toml").write_text("max_steps = = 3")
    kit.run(*command).says(2, "--config fit.toml cannot be read")


@pytest.mark.parametrize("out", ["look_at", "thesis.tex", "holiday"])
def test_training_over_something_that_is_not_a_run(out, kit, dataset):
    (kit.folder / "thesis.tex").write_text("years of work")
    (kit.folder / "holiday").mkdir()
    (kit.folder / "holiday/beach.jpg").write_bytes(b"sand")
    before = contents(kit.folder)
    kit.run("train", "imitation", "--dataset", dataset, "--out", out, "--set", "max_steps=100").says(4, f"{out} holds")
    after = contents(kit.folder)
    assert {path: after.get(path) for path in before} == before


def test_tracking_more_than_one_fit(kit, recorded_dataset):
    command = ("train", "imitation", "--dataset", recorded_dataset, "--out", "run", "--dagger", 1, "--track")
    kit.run(*command).says(2, "--track follows one fit")
    assert not (kit.folder / "run").exists()


def test_exporting_what_is_not_a_run(kit, recorded_dataset):
    kit.run("export", recorded_dataset, "--out", "x.bundle").says(2, "is not a reachy-kit run", "reachy-kit train")
    assert not (kit.folder / "x.bundle").exists()


def test_a_demo_into_a_folder_that_is_not_empty(kit):
    (kit.folder / "full").mkdir()
    (kit.folder / "full/thesis.tex").write_text("years of work")
    kit.run("demo", "--out", "full").says(4, "full is not empty", "--out")
    (kit.folder / "a-file").write_text("x")
    kit.run("demo", "--out", "a-file").says(4, "a-file")
    assert contents(kit.folder / "full").keys() == {(kit.folder / "full/thesis.tex").relative_to(kit.folder / "full")}


@pytest.mark.parametrize("name", [MANIFEST, "policy.onnx"])
def test_a_bundle_that_lacks_a_file(name, kit, make_bundle):
    folder = kit.folder / "unpacked"
    with zipfile.ZipFile(make_bundle(NEUTRAL)) as archive:
        archive.extractall(folder)
    (folder / name).unlink()
    kit.run("run", folder, "--robot", "sim").says(4, name)
