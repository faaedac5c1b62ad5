"""The deployable policy: it is read as it was written, or refused before the robot moves."""

import contextlib
import json
import stat
import threading
import time
import zipfile
from dataclasses import asdict, replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from reachy_kit.runtime.errors import KitError, RefusedError, WrongUseError
from reachy_kit.runtime.inference import bundle as bundle_module
from reachy_kit.runtime.inference.background_policy import infer_beside
from reachy_kit.runtime.inference.bundle import MANIFEST, read_bundle, sha256, write_bundle
from reachy_kit.runtime.inference.chunked import ChunkedPolicy
from reachy_kit.runtime.inference.manifest import Graph, Manifest, Sensed, chunk_inputs, chunk_outputs
from reachy_kit.runtime.inference.onnx_policy import load_policy
from reachy_kit.runtime.interface import ACTION_NAMES, NEUTRAL, YAW, Observation
from reachy_kit.runtime.perception.features import units_of
from reachy_kit.runtime.perception.target import TARGET_FEATURES

N_OBS_STEPS, CHUNK, N_ACTION_STEPS = 2, 4, 3
INPUTS = {
    "state": [1, N_OBS_STEPS, 9],
    "environment_state": [1, N_OBS_STEPS, 5],
    "last_action": [1, 9],
    "noise": [1, CHUNK, 9],
}


def onnx_graph(step=0.1, chunk=CHUNK, state="state"):
    """A graph that plans the latest state plus `step`, the same for each action of the chunk."""
    inputs = {**INPUTS, "noise": [1, chunk, 9]}
    inputs = {state if name == "state" else name: shape for name, shape in inputs.items()}
    nodes = [
        helper.make_node("Slice", [state, "last", "end", "time"], ["latest"]),
        helper.make_node("Expand", ["latest", "shape"], ["spread"]),
        helper.make_node("Add", ["spread", "step"], ["moved"]),
        helper.make_node("Add", ["moved", "noise"], ["action"]),
    ]
    constants = [
        helper.make_tensor("last", TensorProto.INT64, [1], [N_OBS_STEPS - 1]),
        helper.make_tensor("end", TensorProto.INT64, [1], [N_OBS_STEPS]),
        helper.make_tensor("time", TensorProto.INT64, [1], [1]),
        helper.make_tensor("shape", TensorProto.INT64, [3], [1, chunk, 9]),
        helper.make_tensor("step", TensorProto.FLOAT, [], [step]),
    ]
    graph = helper.make_graph(
        nodes,
        "stepper",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info("action", TensorProto.FLOAT, [1, chunk, 9])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def manifest_for(content, **changes):
    inputs = chunk_inputs(N_OBS_STEPS, CHUNK, Sensed(TARGET_FEATURES, units_of(TARGET_FEATURES)))
    graph = Graph("policy.onnx", "chunk", inputs, chunk_outputs(CHUNK), 25, N_OBS_STEPS, CHUNK, N_ACTION_STEPS)
    manifest = Manifest(
        task="look_at",
        graphs=[graph],
        environment_state=TARGET_FEATURES,
        environment_state_units=units_of(TARGET_FEATURES),
        parity_error=1e-6,
        parity_observations=256,
        sha256={"policy.onnx": sha256(content)},
        provenance={"seed": 3, "versions": {"torch": "2"}},
    )
    return replace(manifest, **changes)


def written(path, content=None, **changes):
    """A bundle at the path, with a manifest that differs in some fields."""
    content = onnx_graph() if content is None else content
    write_bundle(path, manifest_for(content, **changes), {"policy.onnx": content})
    return path


def with_manifest(path, manifest):
    """A bundle whose manifest is any JSON at all."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MANIFEST, manifest if isinstance(manifest, str | bytes) else json.dumps(manifest))
        archive.writestr("policy.onnx", onnx_graph())
    return path


def unpacked(path, folder):
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    return folder


def observed(yaw=0.0):
    state = NEUTRAL.copy()
    state[YAW] = yaw
    return Observation(state, 0.0, environment_state=np.zeros(5), last_action=state)


# Round trip


@pytest.mark.parametrize("form", ["zip", "folder"])
def test_a_bundle_comes_back_as_it_was_written(form, tmp_path):
    path = written(tmp_path / "deep" / "look_at.bundle")
    opened = read_bundle(path if form == "zip" else unpacked(path, tmp_path / "folder"))
    assert opened.manifest == manifest_for(onnx_graph())
    assert opened.read("policy.onnx") == onnx_graph()


def test_writing_replaces_a_bundle_and_leaves_nothing_beside_it(tmp_path):
    path = written(tmp_path / "look_at.bundle", parity_error=1.0)
    written(path, parity_error=2.0)
    assert read_bundle(path).manifest.parity_error == 2.0
    assert list(tmp_path.iterdir()) == [path]


def test_a_bundle_that_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(KitError, match="cannot be written"):
        written(tmp_path / "file" / "look_at.bundle")


def test_everybody_may_read_the_unzipped_files(tmp_path):
    path = written(tmp_path / "look_at.bundle")
    with zipfile.ZipFile(path) as archive:
        modes = {info.filename: stat.filemode(info.external_attr >> 16) for info in archive.infolist()}
    assert modes == {MANIFEST: "-rw-r--r--", "policy.onnx": "-rw-r--r--"}


def test_a_manifest_is_json_for_every_reader(tmp_path):
    """JavaScript's JSON.parse refuses NaN and Infinity."""
    result = {"error": float("nan"), "jerk": [float("inf")], "success": 0.5}
    path = written(tmp_path / "look_at.bundle", provenance={"result": result})

    def refuse(constant):
        raise AssertionError(constant)

    with zipfile.ZipFile(path) as archive:
        stored = json.loads(archive.read(MANIFEST), parse_constant=refuse)
    assert stored["provenance"]["result"] == {"error": None, "jerk": [None], "success": 0.5}


# Damage


@pytest.mark.parametrize("bit", [0x01, 0x08, 0x80, 0xFF])
def test_a_flipped_bit_anywhere_is_refused_or_harmless(bit, tmp_path):
    path = written(tmp_path / "whole.bundle")
    whole, content = read_bundle(path), path.read_bytes()
    damaged = tmp_path / "damaged.bundle"
    refused = 0
    for offset in range(len(content)):
        damaged.write_bytes(content[:offset] + bytes([content[offset] ^ bit]) + content[offset + 1 :])
        try:
            opened = read_bundle(damaged)
        except RefusedError:
            refused += 1
        else:
            assert (opened.manifest, opened.files) == (whole.manifest, whole.files), f"byte {offset}"
    assert refused > 0.7 * len(content)


def test_a_truncated_bundle_is_refused(tmp_path):
    content = written(tmp_path / "whole.bundle").read_bytes()
    for length in range(0, len(content), 7):
        (tmp_path / "cut.bundle").write_bytes(content[:length])
        with pytest.raises(RefusedError):
            read_bundle(tmp_path / "cut.bundle")


@pytest.mark.parametrize("form", ["zip", "folder"])
def test_a_graph_that_does_not_match_its_digest_is_refused_by_name(form, tmp_path):
    path = tmp_path / "look_at.bundle"
    write_bundle(path, manifest_for(onnx_graph()), {"policy.onnx": onnx_graph(step=0.2)})
    with pytest.raises(RefusedError, match=r"policy\.onnx does not match its manifest \(sha256 differs\)"):
        read_bundle(path if form == "zip" else unpacked(path, tmp_path / "folder"))


def test_a_missing_graph_is_refused_by_name(tmp_path):
    write_bundle(tmp_path / "look_at.bundle", manifest_for(b""), {})
    with pytest.raises(RefusedError, match=r"policy\.onnx is missing"):
        read_bundle(tmp_path / "look_at.bundle")


def test_a_graph_without_a_digest_is_refused(tmp_path):
    with pytest.raises(RefusedError, match=r"policy\.onnx has no digest"):
        read_bundle(written(tmp_path / "look_at.bundle", sha256={}))


# Not a bundle


@pytest.mark.parametrize("form", ["zip", "folder"])
def test_only_the_files_that_the_manifest_lists_are_read(form, tmp_path, monkeypatch):
    path = written(tmp_path / "look_at.bundle")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.bin", bytes(2**20))
    monkeypatch.setattr(bundle_module, "_MAX_BYTES", 2**19)
    opened = read_bundle(path if form == "zip" else unpacked(path, tmp_path / "folder"))
    assert list(opened.files) == [MANIFEST, "policy.onnx"]


@pytest.mark.parametrize("form", ["zip", "folder"])
def test_files_that_are_too_large_together_are_refused(form, tmp_path, monkeypatch):
    path = written(tmp_path / "look_at.bundle")
    path = path if form == "zip" else unpacked(path, tmp_path / "folder")
    monkeypatch.setattr(bundle_module, "_MAX_BYTES", len(onnx_graph()) - 1)
    with pytest.raises(RefusedError, match="larger than any reachy-kit policy"):
        read_bundle(path)


def test_a_path_that_does_not_exist_is_wrong_use(tmp_path):
    with pytest.raises(WrongUseError, match="does not exist"):
        read_bundle(tmp_path / "nowhere.bundle")


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x03\x04 but nothing behind it"])
def test_a_file_that_is_not_a_zip_is_refused(content, tmp_path):
    (tmp_path / "x.bundle").write_bytes(content)
    with pytest.raises(RefusedError, match=r"x\.bundle is not a readable bundle"):
        read_bundle(tmp_path / "x.bundle")


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(RefusedError, match=r"has no manifest\.json"):
        read_bundle(tmp_path)


def test_a_zip_without_a_manifest_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.bundle", "w") as archive:
        archive.writestr("policy.onnx", onnx_graph())
    with pytest.raises(RefusedError, match=r"x\.bundle has no manifest\.json"):
        read_bundle(tmp_path / "x.bundle")


def test_a_member_that_climbs_out_of_the_folder_is_not_written_anywhere(tmp_path):
    path = tmp_path / "inside" / "x.bundle"
    written(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../escaped.txt", "out")
        archive.writestr(str(tmp_path / "absolute.txt"), "out")
    load_policy(read_bundle(path), TARGET_FEATURES)
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "inside", path]


# Manifests that do not fit


@pytest.mark.parametrize(
    "content", ["", "[]", "5", "{}", '{"schema": 3}', b"\xff\xfe", "[" * 100_000], ids=lambda value: repr(value[:12])
)
def test_an_unreadable_manifest_is_refused(content, tmp_path):
    with pytest.raises(RefusedError, match=r"manifest\.json"):
        read_bundle(with_manifest(tmp_path / "x.bundle", content))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema": 2}, "has schema 2; this reachy-kit reads schema 3. Export it again"),
        ({"schema": 4}, "has schema 4; this reachy-kit reads schema 3"),
        ({"action": ("head_yaw.pos",)}, "commands head_yaw.pos; this robot takes"),
        ({"action_units": ("deg",) * 9}, "commands in deg"),
        ({"limits_profile": "acrobat"}, "wants the limits 'acrobat'"),
        ({"control_hz": 100}, "decides at 25 Hz of 100 Hz"),
        ({"graphs": []}, "needs 0 graphs"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_bundle_made_for_something_else_is_refused(changes, said, tmp_path):
    with pytest.raises(RefusedError) as refused:
        read_bundle(written(tmp_path / "x.bundle", **changes))
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"hz": 7},
        {"role": "step"},
        {"role": "other"},
        {"n_obs_steps": 0},
        {"n_action_steps": 0},
        {"n_action_steps": 5},
        {"chunk_size": 0},
    ],
    ids=str,
)
def test_a_graph_that_cannot_be_run_as_declared_is_refused(changes, tmp_path):
    graph = replace(manifest_for(b"").graphs[0], **changes)
    with pytest.raises(RefusedError):
        read_bundle(written(tmp_path / "x.bundle", graphs=[graph]))


@pytest.mark.parametrize("field", ["inputs", "outputs", "shape", "steps", "source", "names", "conventions"])
@pytest.mark.parametrize("value", [None, 1.5, "text", [None], {"a": None}], ids=str)
def test_a_description_of_another_type_is_refused(field, value, tmp_path):
    manifest = asdict(manifest_for(onnx_graph()))
    graph = manifest["graphs"][0]
    next(part for part in (manifest, graph, graph["inputs"]["state"]) if field in part)[field] = value
    with pytest.raises(RefusedError):
        read_bundle(with_manifest(tmp_path / "x.bundle", manifest))


@pytest.mark.parametrize("field", ["task", "graphs", "sha256", "limits_profile", "action", "hz", "file", "n_obs_steps"])
@pytest.mark.parametrize("value", [None, 1.5, [], {}, [5], {"a": None}], ids=str)
def test_a_field_of_another_type_is_refused(field, value, tmp_path):
    manifest = asdict(manifest_for(onnx_graph()))
    (manifest if field in manifest else manifest["graphs"][0])[field] = value
    with pytest.raises(RefusedError):
        read_bundle(with_manifest(tmp_path / "x.bundle", manifest))


@pytest.mark.parametrize("change", ["lacks", "adds"])
def test_a_manifest_that_lacks_or_adds_a_field_is_refused(change, tmp_path):
    manifest = asdict(manifest_for(onnx_graph()))
    if change == "lacks":
        del manifest["parity_error"]
    else:
        manifest["surprise"] = 1
    with pytest.raises(RefusedError, match="lacks or adds a field"):
        read_bundle(with_manifest(tmp_path / "x.bundle", manifest))


# Running it


def test_other_features_than_it_was_trained_on_are_refused_by_name(tmp_path):
    bundle = read_bundle(written(tmp_path / "x.bundle"))
    for features in (TARGET_FEATURES[:-1], TARGET_FEATURES[::-1], ("sound_left",)):
        with pytest.raises(RefusedError, match=rf", not {', '.join(features)}\. "):
            load_policy(bundle, features)


@pytest.mark.parametrize(
    "content",
    [b"no onnx", onnx_graph()[:-40], onnx_graph(chunk=CHUNK + 1), onnx_graph(state="posture")],
    ids=["no graph", "half a graph", "another chunk", "another input"],
)
def test_a_graph_that_does_not_run_is_refused_before_the_robot_moves(content, tmp_path):
    bundle = read_bundle(written(tmp_path / "x.bundle", content))
    with pytest.raises(RefusedError, match=r"policy\.onnx"):
        load_policy(bundle, TARGET_FEATURES)


def failing_graph():
    """A graph that runs while all that is observed is zero."""
    nodes = [
        helper.make_node("ReduceMax", ["state"], ["largest"], keepdims=0),
        helper.make_node("Ceil", ["largest"], ["above"]),
        helper.make_node("Cast", ["above"], ["row"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "row"], ["found"], axis=0),
        helper.make_node("Expand", ["found", "shape"], ["action"]),
    ]
    constants = [
        helper.make_tensor("table", TensorProto.FLOAT, [1, 9], np.zeros(9)),
        helper.make_tensor("shape", TensorProto.INT64, [3], [1, CHUNK, 9]),
    ]
    graph = helper.make_graph(
        nodes,
        "failing",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in INPUTS.items()],
        [helper.make_tensor_value_info("action", TensorProto.FLOAT, [1, CHUNK, 9])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString()


@pytest.mark.parametrize("beside", [False, True], ids=["in the loop", "beside it"])
def test_a_graph_that_fails_on_what_is_observed_is_named_and_ends_the_run(beside, tmp_path):
    policy = load_policy(read_bundle(written(tmp_path / "x.bundle", failing_graph())), TARGET_FEATURES)
    with contextlib.ExitStack() as at_end:
        policy = infer_beside(policy, 25, at_end) if beside else policy
        with pytest.raises(RefusedError, match=r"x\.bundle: policy\.onnx does not run \(.*Export it again"):
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                policy.act(observed(2.0))
    assert "inference" not in [thread.name for thread in threading.enumerate()]


def test_a_bundle_acts_on_the_latest_state_and_plans_again_when_its_plan_is_used_up(tmp_path):
    policy = load_policy(read_bundle(written(tmp_path / "x.bundle")), TARGET_FEATURES)
    actions = [policy.act(observed(yaw=0.01 * step))[YAW] for step in range(7)]
    np.testing.assert_allclose(actions, [0.1, 0.1, 0.1, 0.13, 0.13, 0.13, 0.16], atol=1e-6)


def test_reset_forgets_plan_and_history():
    windows = []

    def plan(state, environment_state, last_action):
        windows.append(state[0, :, YAW].tolist())
        return np.repeat(last_action[:, None], CHUNK, axis=1)

    policy = ChunkedPolicy(plan, n_obs_steps=3, n_action_steps=2)
    for yaw in (1.0, 2.0, 3.0):
        policy.act(observed(yaw))
    policy.reset()
    policy.act(observed(7.0))
    assert windows == [[1, 1, 1], [1, 2, 3], [7, 7, 7]]


def test_a_policy_without_perception_is_wrong_use():
    policy = ChunkedPolicy(lambda *inputs: np.zeros((1, 1, 9)), 2, 1)
    with pytest.raises(WrongUseError, match="needs perception"):
        policy.act(Observation(NEUTRAL, 0.0))


def test_a_graph_that_returns_nan_is_refused_by_the_rollout(tmp_path):
    from reachy_kit.runtime.rollout import rollout
    from reachy_sim.robot import SimRobot
    from reachy_sim.tasks import variant_by_name
    from reachy_sim.world import GeometricPerception, SimWorld

    policy = load_policy(read_bundle(written(tmp_path / "x.bundle", onnx_graph(step=np.nan))), TARGET_FEATURES)
    robot, world = SimRobot(), SimWorld(variant_by_name("look_at"))
    robot.connect()
    with pytest.raises(RefusedError, match=f"not a number for {ACTION_NAMES[0]}"):
        rollout(robot, policy, seconds=1, policy_hz=25, perception=GeometricPerception(world), world=world)
    assert robot.get_observation().capture_time == 0.0
