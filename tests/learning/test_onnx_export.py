"""Export of a chunk policy: the bundle acts as the run does, or it is not written."""

import numpy as np
import onnx
import pytest

from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.inference.bundle import read_bundle
from reachy_kit.runtime.inference.onnx_policy import load_policy
from reachy_kit.runtime.interface import Observation
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


def test_the_manifest_describes_the_graph_and_its_provenance(trained_run, bundle_path):
    bundle = read_bundle(bundle_path)
    manifest, (graph,) = bundle.manifest, bundle.manifest.graphs
    model = onnx.load_from_string(bundle.read(graph.file))
    onnx.checker.check_model(model)
    inputs = {entry.name: [dim.dim_value for dim in entry.type.tensor_type.shape.dim] for entry in model.graph.input}
    assert inputs == graph.inputs
    assert manifest.parity_error <= onnx_export.PARITY_TOLERANCE
    assert manifest.parity_observations == onnx_export.PARITY_OBSERVATIONS
    assert manifest.provenance["dataset_sha256"] == trained_run.card.dataset_sha256
    assert "/" not in manifest.provenance["dataset"]


@pytest.mark.parametrize("nudge", [0.01, np.nan])
def test_a_graph_that_differs_from_torch_is_not_written(trained_run, tmp_path, monkeypatch, nudge):
    """The exporter does not err by itself, so its output is changed: the last bias by a hundredth of a deviation."""
    faithful = onnx_export.chunk_to_onnx

    def nudged(policy):
        model = onnx.load_from_string(faithful(policy))
        bias = next(tensor for tensor in model.graph.initializer if tensor.name == "body.4.bias")
        values = onnx.numpy_helper.to_array(bias) + nudge
        bias.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float32), bias.name))
        return model.SerializeToString()

    monkeypatch.setattr(onnx_export, "chunk_to_onnx", nudged)
    out = tmp_path / "wrong.bundle"
    with pytest.raises(RefusedError, match="differ"):
        onnx_export.export_bundle(trained_run, out)
    assert not list(tmp_path.iterdir())
