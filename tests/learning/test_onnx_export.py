"""Export of a chunk policy: the bundle acts as the run does, or it is not written."""

import json
import zipfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.inference.bundle import read_bundle
from reachy_kit.runtime.inference.onnx_policy import load_policy
from reachy_kit.runtime.interface import ACTION_NAMES, ACTION_UNITS, Observation
from reachy_kit.runtime.perception.target import TARGET_FEATURES
from reachy_policies import onnx_export
from reachy_policies.data.demonstrations import load_demonstrations
from reachy_policies.runs.policy_loader import single_policy


def test_the_bundle_acts_as_the_run_does(trained_run, bundle_path, recorded_dataset):
    demonstrations = load_demonstrations(recorded_dataset)
    bundled, trained = load_policy(read_bundle(bundle_path), TARGET_FEATURES), single_policy(trained_run)
    for row in range(40):
        observation = Observation(
            demonstrations.state[row].double().numpy(),
            0.04 * row,
            demonstrations.environment_state[row].double().numpy(),
            demonstrations.last_action[row].double().numpy(),
        )
        np.testing.assert_allclose(
            bundled.act(observation), trained.act(observation), atol=onnx_export.PARITY_TOLERANCE
        )


def test_a_stranger_gets_the_same_actions(bundle_path, recorded_dataset, actions_of_a_stranger):
    demonstrations, policy = (
        load_demonstrations(recorded_dataset),
        load_policy(read_bundle(bundle_path), TARGET_FEATURES),
    )
    names = ("state", "environment_state", "last_action")
    observed = {name: getattr(demonstrations, name)[:30].double().numpy() for name in names}
    expected = [
        policy.act(Observation(observed["state"][row], 0.04 * row, observed["environment_state"][row], last_action))
        for row, last_action in enumerate(observed["last_action"])
    ]
    np.testing.assert_allclose(actions_of_a_stranger(bundle_path, **observed), expected, atol=1e-6)


def test_the_strangers_script_is_short():
    script = Path(__file__).parents[2] / "policies" / "examples" / "run_bundle.py"
    lines = [line for line in script.read_text().splitlines() if line]
    assert len(lines) <= 30
    assert "reachy" not in "".join(line for line in lines if "import" in line)


def test_the_manifest_says_what_a_stranger_must_know(bundle_path):
    with zipfile.ZipFile(bundle_path) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    (graph,) = manifest["graphs"]
    state, features, last_action, noise = graph["inputs"].values()
    assert state["steps"] == features["steps"] == [-3, -2, -1, 0]
    assert (state["names"], state["units"]) == (list(ACTION_NAMES), list(ACTION_UNITS))
    assert (features["names"], features["units"][:3]) == (list(TARGET_FEATURES), ["rad", "rad", "rad"])
    assert "optical axis" in features["meanings"][0]
    assert (last_action["shape"], last_action["steps"]) == ([1, 9], [0])
    assert (noise["source"], noise["value"]) == ("constant", 0)
    assert graph["outputs"]["action"]["steps"] == list(range(graph["chunk_size"]))
    assert manifest["instruction"] == "Look at the ball and keep looking at it."
    said = {
        "history": "oldest first",
        "action": "before any limiter",
        "interpolation": "control_hz",
        "position": "x forward",
        "rotation": "Extrinsic xyz",
        "normalization": "Inside the graphs",
        "last_action": "after the limiter",
        "image": "channels first",
    }
    assert {name for name, words in said.items() if words not in manifest["conventions"][name]} == set()


def test_a_graph_without_its_manifest_says_the_same(bundle_path):
    bundle = read_bundle(bundle_path)
    session = onnxruntime.InferenceSession(bundle.read("policy.onnx"))
    said = session.get_modelmeta().custom_metadata_map
    graph, manifest = asdict(bundle.manifest.graphs[0]), bundle.manifest
    assert (said["task"], said["instruction"]) == (manifest.task, manifest.instruction)
    assert said["reachy_kit"] == manifest.provenance["versions"]["reachy-kit"]
    stored = {name: json.loads(said[name]) for name in graph if name not in ("file", "role")}
    assert stored == {name: graph[name] for name in stored}
    assert json.loads(said["conventions"]) == manifest.conventions
    assert json.loads(said["action_names"]) == list(manifest.action)
    assert json.loads(said["action_units"]) == list(manifest.action_units)
    assert (json.loads(said["action_scale"]), json.loads(said["control_hz"])) == (1, manifest.control_hz)


def test_no_folder_of_the_training_computer_is_in_a_bundle(trained_run, bundle_path):
    folders = {str(path).encode() for path in (Path.home(), trained_run.path.parent, Path(onnx_export.__file__).parent)}
    for name, content in read_bundle(bundle_path).files.items():
        assert [folder for folder in folders if folder in content] == [], name


def test_the_manifest_describes_the_graph_and_its_provenance(trained_run, bundle_path):
    bundle = read_bundle(bundle_path)
    manifest, (graph,) = bundle.manifest, bundle.manifest.graphs
    model = onnx.load_from_string(bundle.read(graph.file))
    onnx.checker.check_model(model)
    inputs = {entry.name: [dim.dim_value for dim in entry.type.tensor_type.shape.dim] for entry in model.graph.input}
    assert inputs == {name: entry.shape for name, entry in graph.inputs.items()}
    assert manifest.parity_error <= onnx_export.PARITY_TOLERANCE
    assert manifest.parity_observations == onnx_export.PARITY_OBSERVATIONS
    assert manifest.provenance["dataset_sha256"] == trained_run.card.dataset_sha256
    assert "/" not in manifest.provenance["dataset"]


@pytest.mark.parametrize("nudge", [0.01, np.nan])
def test_a_graph_that_differs_from_torch_is_not_written(trained_run, tmp_path, monkeypatch, nudge):
    """The exporter does not err by itself, so its output is changed: the last bias by a hundredth of a deviation."""
    faithful = onnx_export.to_onnx

    def nudged(network, inputs):
        model = onnx.load_from_string(faithful(network, inputs))
        bias = next(tensor for tensor in model.graph.initializer if tensor.name == "body.4.bias")
        values = onnx.numpy_helper.to_array(bias) + nudge
        bias.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float32), bias.name))
        return model.SerializeToString()

    monkeypatch.setattr(onnx_export, "to_onnx", nudged)
    out = tmp_path / "wrong.bundle"
    with pytest.raises(RefusedError, match="differ"):
        onnx_export.export_bundle(trained_run, out)
    assert not list(tmp_path.iterdir())
