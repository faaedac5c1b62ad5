"""The runtime as a wheel of its own: an environment with its few dependencies and nothing else runs a bundle."""

import json
import subprocess
import tomllib
from pathlib import Path

import numpy as np
import pytest

from reachy_kit.runtime.interface import NEUTRAL, YAW
from reachy_kit.runtime.recording.episode_files import count_episodes, read_episode
from reachy_kit.runtime.recording.schema import ACTION

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "lerobot", "mujoco", "gymnasium", "typer", "rich", "reachy_sim", "reachy_policies", "reachy_mini")

PROGRAM = """
import importlib, importlib.util, json, pkgutil, sys
from pathlib import Path

import numpy as np

import reachy_kit.runtime
from reachy_kit.runtime.inference.bundle import read_bundle
from reachy_kit.runtime.inference.onnx_policy import load_policy
from reachy_kit.runtime.interface import ACTION_NAMES, CAMERA, NEUTRAL, Observation
from reachy_kit.runtime.perception.targets.ball_target import BallDetector
from reachy_kit.runtime.perception.targets.camera_perception import CameraPerception
from reachy_kit.runtime.recording.episode_files import EpisodeFiles
from reachy_kit.runtime.recording.layout import DatasetLayout
from reachy_kit.runtime.recording.recorder import EpisodeRecorder
from reachy_kit.runtime.perception.features import units_of
from reachy_kit.runtime.rollout import rollout
from reachy_kit.runtime.safety import Motion, limit
from reachy_kit.runtime.tasks.task_registry import task_spec

heavy, bundle, files = sys.argv[1].split(","), Path(sys.argv[2]), Path(sys.argv[3])


class Robot:
    name, control_hz = "toy", 50
    observation_features = action_features = dict.fromkeys(ACTION_NAMES, float)

    def reset(self, pose):
        self.motion, self.time = Motion.at_rest(pose), 0.0

    def get_observation(self):
        image = np.full((90, 160, 3), 128, dtype=np.uint8)
        image[40:50, 70:80] = 0, 200, 0  # something green
        return Observation(
            self.motion.position, self.time, images={CAMERA: image}, image_times={CAMERA: self.time}
        )

    def send_action(self, action):
        self.motion, _ = limit(self.motion.position, self.motion, action)
        return self.motion.position

    def wait_next_tick(self):
        self.time += 1 / self.control_hz


perception, spec = CameraPerception(BallDetector()), task_spec("look_at")
opened = read_bundle(bundle)
layout = DatasetLayout(
    spec.name, spec.instruction, perception.names, units_of(perception.names), 25, (90, 160, 3)
)
episode = rollout(
    Robot(), load_policy(opened, perception.names), seconds=1, policy_hz=opened.manifest.graphs[0].hz,
    perception=perception, subscribers=[EpisodeRecorder(EpisodeFiles(files, layout))],
)
# The SDK's robot too, as far as it goes without the SDK: whatever is in the wheel can be imported.
for module in pkgutil.walk_packages(reachy_kit.runtime.__path__, "reachy_kit.runtime."):
    importlib.import_module(module.name)
json.dump(
    {
        "steps": episode.steps,
        "from": reachy_kit.runtime.__file__,
        "loaded": [name for name in heavy if name in sys.modules],
        "reachable": [name for name in heavy if importlib.util.find_spec(name)],
    },
    sys.stdout,
)
"""


@pytest.fixture
def robots_computer(make_environment):
    """An environment that holds the runtime's wheel and its requirements, and nothing else."""
    return make_environment(ROOT / "reachy_kit/runtime")


def test_the_runtime_alone_runs_a_bundle_and_records_what_it_did(robots_computer, make_bundle, tmp_path):
    target = NEUTRAL.copy()
    target[YAW] = 0.3
    arguments = [",".join(HEAVY), str(make_bundle(target)), str(tmp_path / "files")]
    command = [str(robots_computer.python), "-I", "-c", PROGRAM, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout)
    assert said["loaded"] == said["reachable"] == []
    assert Path(said["from"]).is_relative_to(robots_computer.folder)
    assert said["steps"] == 25
    assert count_episodes(tmp_path / "files") == 1
    np.testing.assert_allclose(read_episode(tmp_path / "files", 0)[-1][ACTION], target, atol=1e-3)


def test_the_runtime_and_the_whole_kit_say_the_same_of_themselves():
    whole, runtime = (
        tomllib.loads((ROOT / place / "pyproject.toml").read_text())["project"] for place in (".", "reachy_kit/runtime")
    )
    assert whole["version"] == runtime["version"]
    assert whole["requires-python"] == runtime["requires-python"]
    assert set(runtime["dependencies"]) < set(whole["dependencies"])
    assert whole["optional-dependencies"]["robot"] == runtime["optional-dependencies"]["robot"]
