"""Export of a residual policy: two graphs that act as the run does, or the bundle is not written."""

import json
import shutil

import numpy as np
import onnx
import pytest
import torch

from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.inference.bundle import read_bundle
from reachy_kit.runtime.inference.onnx_policy import load_policy
from reachy_kit.runtime.interface import ACTION_NAMES, Observation
from reachy_kit.runtime.perception.target import TARGET_FEATURES
from reachy_policies import onnx_export
from reachy_policies.data.demonstrations import load_demonstrations
from reachy_policies.models.residual import ReachyResidualConfig, ReachyResidualPolicy
from reachy_policies.models.residual.frozen_base import FrozenBase
from reachy_policies.runs.policy_loader import load_chunk_policy, single_policy
from reachy_policies.runs.run_files import MODEL
from reachy_policies.runs.saved_run import open_run, save_run


@pytest.fixture(scope="module")
def residual_run(trained_run, tmp_path_factory):
    """A residual over the trained run with a large, arbitrary correction."""
    base = FrozenBase.load(trained_run.path / MODEL)
    config = base.policy.config
    features = {"input_features": config.input_features, "output_features": config.output_features}
    torch.manual_seed(0)
    policy = ReachyResidualPolicy(ReachyResidualConfig(n_obs_steps=3, **features), base)
    torch.nn.init.normal_(policy.network.body[-1].weight)
    card = {**vars(trained_run.card), "policy": policy.name, "method": "residual"}
    out = tmp_path_factory.mktemp("residual") / "run"
    return save_run(out, policy, type(trained_run.card)(**card), trained_run.examples(), {})


@pytest.fixture(scope="module")
def bundle(residual_run, tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "residual.bundle"
    onnx_export.export_bundle(residual_run, path)
    return read_bundle(path)


def observations(dataset, count):
    demonstrations = load_demonstrations(dataset)
    parts = demonstrations.state, demonstrations.environment_state, demonstrations.last_action
    for row in range(count):
        state, features, last = (part[row].double().numpy() for part in parts)
        yield Observation(state, 0.04 * row, features, last)


def test_the_bundle_acts_as_the_run_does_and_not_as_its_base(bundle, residual_run, trained_run, recorded_dataset):
    policies = load_policy(bundle, TARGET_FEATURES), single_policy(residual_run), single_policy(trained_run)
    for episode in range(2):
        for policy in policies:
            policy.reset()
        for observation in observations(recorded_dataset, 20 + episode):
            bundled, trained, base = (policy.act(observation) for policy in policies)
            np.testing.assert_allclose(bundled, trained, atol=onnx_export.PARITY_TOLERANCE)
            assert 0.01 < np.abs(bundled - base)[[4, 5]].max() <= 0.15 + 1e-6
            np.testing.assert_allclose(np.delete(bundled, [4, 5]), np.delete(base, [4, 5]), atol=1e-6)


def test_a_stranger_gets_the_same_actions(bundle, recorded_dataset, actions_of_a_stranger):
    policy = load_policy(bundle, TARGET_FEATURES)
    seen = list(observations(recorded_dataset, 20))
    expected = [policy.act(observation) for observation in seen]
    names = ("state", "environment_state", "last_action")
    observed = {name: np.array([getattr(observation, name) for observation in seen]) for name in names}
    np.testing.assert_allclose(actions_of_a_stranger(bundle.path, **observed), expected, atol=1e-6)
    step = bundle.manifest.graphs[1].inputs["base_action"]
    assert (step.source, step.names) == ("chunk", list(ACTION_NAMES))


def test_the_manifest_describes_both_graphs(bundle):
    assert [graph.role for graph in bundle.manifest.graphs] == ["chunk", "step"]
    assert [graph.n_obs_steps for graph in bundle.manifest.graphs] == [4, 3]
    for graph in bundle.manifest.graphs:
        model = onnx.load_from_string(bundle.read(graph.file))
        onnx.checker.check_model(model)
        inputs = {
            entry.name: [dim.dim_value for dim in entry.type.tensor_type.shape.dim] for entry in model.graph.input
        }
        assert inputs == {name: entry.shape for name, entry in graph.inputs.items()}
    assert bundle.manifest.parity_error <= onnx_export.PARITY_TOLERANCE


def test_a_correction_that_differs_from_torch_is_not_written(residual_run, tmp_path, monkeypatch):
    faithful = onnx_export.to_onnx

    def nudged(network, inputs):
        if "base_action" not in inputs:
            return faithful(network, inputs)
        network.body[-1].bias.data += 0.01
        model = faithful(network, inputs)
        network.body[-1].bias.data -= 0.01
        return model

    monkeypatch.setattr(onnx_export, "to_onnx", nudged)
    with pytest.raises(RefusedError, match="differ"):
        onnx_export.export_bundle(residual_run, tmp_path / "wrong.bundle")
    assert not list(tmp_path.iterdir())


def test_a_base_without_a_graph_is_refused_by_its_kind(residual_run, tmp_path):
    """A residual over a residual: its base is not a chunk policy."""
    inner = FrozenBase.load(residual_run.path / MODEL)
    policy = ReachyResidualPolicy(inner.policy.config, inner)
    run = save_run(tmp_path / "run", policy, residual_run.card, residual_run.examples(), {})
    with pytest.raises(RefusedError, match="kind reachy_residual, which has no graph"):
        onnx_export.export_bundle(run, tmp_path / "run.bundle")
    assert not (tmp_path / "run.bundle").exists()


@pytest.mark.parametrize("change", ["roles", "rates"])
def test_graphs_that_do_not_fit_together_are_refused(bundle, tmp_path, change):
    copy = shutil.copytree(_unpack(bundle, tmp_path / "whole"), tmp_path / "other")
    manifest = json.loads((copy / "manifest.json").read_text())
    if change == "roles":
        manifest["graphs"].reverse()
    else:
        manifest["graphs"][1]["hz"] = 50
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RefusedError, match=r"graphs|does not fit|decides at 25, 50 Hz"):
        read_bundle(copy)
    assert len(load_policy(read_bundle(tmp_path / "whole"), TARGET_FEATURES).act(_zero_observation())) == len(
        ACTION_NAMES
    )


def _unpack(bundle, folder):
    folder.mkdir()
    for name, content in bundle.files.items():
        (folder / name).write_bytes(content)
    return folder


def _zero_observation():
    return Observation(np.zeros(9), 0.0, np.zeros(len(TARGET_FEATURES)), np.zeros(9))


def test_a_bundle_keeps_temporal_ensembling(trained_run, recorded_dataset, tmp_path, actions_of_a_stranger):
    policy = load_chunk_policy(trained_run)
    policy.config.n_action_steps, policy.config.temporal_ensemble_coeff = 1, 0.1
    run = save_run(tmp_path / "run", policy, trained_run.card, trained_run.examples(), {})
    onnx_export.export_bundle(run, tmp_path / "x.bundle")
    bundled, trained = (
        load_policy(read_bundle(tmp_path / "x.bundle"), TARGET_FEATURES),
        single_policy(open_run(run.path)),
    )
    seen = list(observations(recorded_dataset, 20))
    expected = [bundled.act(observation) for observation in seen]
    for observation, action in zip(seen, expected, strict=True):
        np.testing.assert_allclose(action, trained.act(observation), atol=onnx_export.PARITY_TOLERANCE)
    names = ("state", "environment_state", "last_action")
    observed = {name: np.array([getattr(observation, name) for observation in seen]) for name in names}
    np.testing.assert_allclose(actions_of_a_stranger(tmp_path / "x.bundle", **observed), expected, atol=1e-6)
