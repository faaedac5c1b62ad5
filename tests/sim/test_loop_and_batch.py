"""The control loop over a simulated robot and the batched environments run the same episode."""

import gymnasium
import numpy as np
import pytest

from reachy_kit.runtime.rollout import rollout
from reachy_kit.runtime.tasks.task_registry import known_tasks
from reachy_sim.robot import SimRobot, SimRobotConfig
from reachy_sim.tasks import single_expert_policy, variant_by_name
from reachy_sim.tasks.variants import Variant
from reachy_sim.world import GeometricPerception, SimWorld

IDS = {spec.name: spec.gym_id for spec in known_tasks()}


class StepRecorder:
    """Policy and subscriber that keeps every step and every target that the policy returned."""

    def __init__(self, policy):
        self._policy, self.steps, self.targets = policy, [], []

    def reset(self):
        self._policy.reset()

    def act(self, observation):
        self.targets.append(self._policy.act(observation))
        return self.targets[-1]

    def on_episode_start(self, seed): ...

    def on_step(self, step):
        self.steps.append(step)

    def on_episode_end(self, episode): ...


def roll_out(variant: Variant, seed: int, tier: str, seconds: float, hz: int = 25):
    world = SimWorld(variant)
    robot = SimRobot(SimRobotConfig(tier=tier), actuators=world.actuators, watch=world.append_pose)
    recorder = StepRecorder(single_expert_policy(variant.task.name, hz, seed))
    rollout(
        robot,
        recorder,
        seconds=seconds,
        policy_hz=hz,
        seed=seed,
        perception=GeometricPerception(world),
        world=world,
        subscribers=[recorder],
    )
    return recorder


CASES = [
    *[(task, "training") for task in IDS],
    ("look_at", "late"),
    ("look_at", "tilted_camera"),
    ("look_at", "hidden"),
    ("track", "sluggish"),
    ("track", "worn"),
    ("sound_orient", "late"),
    ("dance", "late"),
    ("dance", "dropouts"),
]


@pytest.mark.parametrize(
    ("tier", "task", "name"), [("kinematic", *case) for case in CASES] + [("physics", *case) for case in CASES[::3]]
)
def test_the_loop_over_a_robot_and_the_batch_agree(run_expert, tier, task, name):
    variant, seed = variant_by_name(task, name), 11
    recorder = roll_out(variant, seed, tier, variant.task.seconds)
    batch = run_expert(task, name, seeds=[seed], tier=tier)
    states = np.array([step.observation.state for step in recorder.steps])
    near = 2e-6 if tier == "kinematic" else 1e-8  # rad; single precision there
    np.testing.assert_allclose(states[1:], batch.states[0, :-1], atol=near)
    np.testing.assert_allclose([step.truth.task_error for step in recorder.steps], batch.error[0], atol=near)
    np.testing.assert_allclose([step.truth.target for step in recorder.steps], batch.targets[0], atol=1e-9)
    np.testing.assert_allclose(np.mean([step.truth.reward for step in recorder.steps]), batch.reward[0], atol=near)
    assert recorder.steps[-1].truth.success == batch.success[0]


@pytest.mark.parametrize(
    ("task", "name", "hz"), [(*case, 25) for case in CASES] + [(*case, hz) for case in CASES[:3] for hz in (50, 10)]
)
def test_an_environment_returns_the_observations_of_the_loop_for_the_same_targets(task, name, hz):
    seed, variant = 3, variant_by_name(task, name)
    recorder = roll_out(variant, seed, "kinematic", 2.0, hz)
    env = gymnasium.make(IDS[task], tier="kinematic", variant=name, policy_hz=hz)
    observation, _ = env.reset(seed=seed)
    for index, (target, step) in enumerate(zip(recorder.targets, recorder.steps, strict=True)):
        expected = step.observation
        for key, value in (
            ("agent_pos", expected.state),
            ("environment_state", expected.environment_state),
            ("last_action", expected.last_action),
        ):
            np.testing.assert_allclose(observation[key], value, atol=1e-6, err_msg=f"step {index}, {key}")
        observation, reward, _, _, info = env.unwrapped.step(target)
        assert reward == pytest.approx(step.truth.reward, abs=2e-6)
        assert info["is_success"] == step.truth.success
