"""Control of the loop by a person at the viewer: pause, step, restart, steer; without a browser."""

import threading

import numpy as np
import pytest

from reachy_kit.runtime.behaviours.hold import HoldPolicy
from reachy_kit.runtime.interface import NEUTRAL, YAW, EndReason
from reachy_kit.runtime.rollout import rollout
from reachy_sim.robot import SimRobot, SimRobotConfig
from reachy_sim.view.controls import Controls
from reachy_sim.view.snapshots import SnapshotBuffer

PATIENCE = 30.0
"""s until a test gives up on a thread."""


class Loop:
    """Runs one episode in a thread of its own, and counts its ticks.

    Args:
        controls: of the loop.
        length: ticks of the episode.
    """

    def __init__(self, controls, length=None):
        self.controls, self.seed = controls, controls.begin_episode(length)
        self.ticks, self.snapshots, self._ticked = 0, SnapshotBuffer(), threading.Condition()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        robot = SimRobot(SimRobotConfig(tier="kinematic"), watch=self._watch)
        hooks = {"stop": self.controls.stop, "on_tick": self._on_tick, "subscribers": [self.snapshots]}
        self.episode = rollout(robot, HoldPolicy(), seconds=None, policy_hz=25, seed=self.seed, **hooks)

    def _on_tick(self, tick):
        self.snapshots.on_tick(tick)
        self.controls.on_tick(tick)

    def _watch(self, state, time):
        with self._ticked:
            self.ticks += 1
            self._ticked.notify_all()

    def wait_for(self, ticks):
        with self._ticked:
            assert self._ticked.wait_for(lambda: self.ticks >= ticks, PATIENCE)

    def end(self):
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()
        return self.episode


def test_a_paused_loop_passes_as_many_ticks_as_it_is_stepped():
    controls = Controls(3, "training", paused=True)
    loop = Loop(controls)
    controls.step(2)
    loop.wait_for(2)
    controls.step(3)
    loop.wait_for(5)
    controls.restart()
    episode = loop.end()
    assert (loop.ticks, episode.steps, episode.end_reason) == (5, 2, EndReason.DISCARDED)
    assert loop.snapshots.latest.time == pytest.approx(0.08)


def test_a_resumed_loop_runs_until_the_person_restarts():
    controls = Controls(3, "training", paused=True)
    loop = Loop(controls)
    controls.pause(False)
    loop.wait_for(20)
    controls.restart()
    assert loop.end().end_reason is EndReason.DISCARDED
    assert (controls.seed, controls.variant) == (4, "training")


def test_a_restart_ends_a_paused_episode_before_its_first_tick_and_only_that_one():
    controls = Controls(3, "training", paused=True)
    first = Loop(controls)
    controls.restart(seed=8, variant="hard")
    assert (first.end().steps, first.episode.seed) == (0, 3)
    second = Loop(controls, length=4)
    controls.pause(False)
    assert second.end().end_reason is EndReason.COMPLETED
    assert (second.episode.seed, second.ticks, controls.seed, controls.variant) == (8, 4, 9, "hard")


def test_an_episode_is_complete_after_its_ticks_but_not_while_a_person_drives():
    controls = Controls(0, "training")
    controls.begin_episode(2)
    assert controls.stop() is None
    controls.steer(YAW, 0.3, NEUTRAL)
    assert [controls.stop() for _ in range(5)] == [None] * 5
    controls.release()
    assert [controls.stop(), controls.stop()] == [None, EndReason.COMPLETED]


def test_a_person_moves_one_axis_and_keeps_the_others_until_the_restart():
    controls = Controls(0, "training")
    start = NEUTRAL + 0.01
    controls.steer(YAW, 0.3, start)
    controls.steer(7, -1.0, NEUTRAL)
    expected = start.copy()
    expected[[YAW, 7]] = 0.3, -1.0
    np.testing.assert_array_equal(controls.human_action, expected)
    controls.restart()
    assert controls.human_action is None
