"""A motor that goes limp is named, on the robot's own daemon with its simulated motors made limp."""

import contextlib
import time

import numpy as np
import pytest

from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.geometry import vector_from_pose
from reachy_kit.runtime.interface import CONTROL_HZ, NEUTRAL
from reachy_kit.runtime.kinematics import forward
from reachy_kit.runtime.robots.lifecycle import connected
from reachy_kit.runtime.robots.link.sdk_link import STALLED
from reachy_kit.runtime.robots.sdk import SdkRobot, SdkRobotConfig
from reachy_kit.runtime.safety import CLASSROOM, Motion
from reachy_kit.runtime.watchdogs.guarded_policy import GuardedPolicy
from reachy_kit.runtime.watchdogs.motor_following import COMMANDED, MOTORS, MOVED, commanded_joints

USUAL = ("body_rotation", "stewart_3", "left_antenna")


def swung(motor, angle):
    """(9,) pose in which one motor is away from neutral, rad, and the others are not: nothing drags it along."""
    joints = commanded_joints(Motion.at_rest(NEUTRAL))
    joints[motor] += angle
    return np.concatenate([vector_from_pose(forward(joints[1:7], joints[0])), joints[[0, 7, 8]]])


def sdk_robot(daemon, note):
    return SdkRobot(SdkRobotConfig(daemon.address.host, daemon.address.port), note=note)


@pytest.mark.parametrize(
    ("motor", "way"),
    [
        pytest.param(motor, way, marks=[] if motor in USUAL and way > 0 else pytest.mark.long)
        for motor in MOTORS
        for way in (0.3, -0.3)
    ],
)
def test_a_limp_motor_is_named_within_half_a_second_and_the_robot_lies_down(motor, way, limp_daemon):
    daemon, hand = limp_daemon
    number, commands, times, notes = MOTORS.index(motor), [], [], []
    names_it = f"{motor} of {daemon.address} does not follow"
    antenna = motor.endswith("antenna")
    with (
        contextlib.nullcontext() if antenna else pytest.raises(RefusedError, match=f"^{names_it}"),
        connected(sdk_robot(daemon, notes.append)) as robot,
    ):
        robot.reset(NEUTRAL)
        hand.make_limp(motor)
        for tick in range(4 * CONTROL_HZ):
            applied = robot.send_action(swung(number, way * np.sin(2 * tick / CONTROL_HZ)))
            robot.wait_next_tick()
            if notes:  # it drives on; an antenna that swings freely for long ends up behind the head
                break
            commands.append(commanded_joints(Motion.at_rest(applied))[number])
            times.append(robot.get_observation().capture_time)
    assert [note.startswith(f"warning: {names_it}") for note in notes] == [True] * antenna
    assert daemon.get("motors/status")["mode"] == "disabled", "it lies, give or take a limp motor"
    begin = max(np.flatnonzero(np.diff(times, prepend=0.0) > STALLED))  # after a stall the robot is commanded from rest
    away = np.abs(np.array(commands[begin:]) - commands[begin]) > COMMANDED
    measurements = len(set(np.array(times[begin:])[away]))  # where the computer is busy, the simulated robot is slow
    print(f"{motor} {way:+}: {measurements} measurements")
    assert measurements <= 0.5 * CONTROL_HZ


def test_an_antenna_that_is_limp_from_the_start_is_named_while_the_robot_gets_up(limp_daemon, kit, make_bundle):
    daemon, hand = limp_daemon
    hand.make_limp("right_antenna")
    command = kit.run("run", make_bundle(NEUTRAL), "--robot", daemon.address, "--no-camera", "--seconds", 1)
    assert command.code == 0, command
    assert "warning: right_antenna of 127.0.0.1" in command.err
    assert command.err.count("switch the robot off and on again") == 1


def legs_of(daemon):
    """(6,) rad, measured."""
    return np.array(daemon.get("state/full?with_head_joints=true")["head_joints"][1:])


@pytest.mark.long
def test_a_leg_that_the_others_drag_along_is_named_once_it_stands(limp_daemon):
    daemon, hand = limp_daemon
    leg, before = 3, legs_of(daemon)[3]
    hand.make_limp("stewart_4")
    with (
        pytest.raises(RefusedError, match=f"^stewart_4 of {daemon.address} does not follow"),
        connected(sdk_robot(daemon, lambda note: None)) as robot,
    ):
        way = commanded_joints(Motion.at_rest(NEUTRAL))[1 + leg] - before
        assert abs(way) > 10 * COMMANDED, "getting up is a long way for it"
        assert (legs_of(daemon)[leg] - before) / way > MOVED, "it was dragged along"
        for tick in range(2 * CONTROL_HZ):
            robot.send_action(swung(1 + leg, 0.3 * np.sin(2 * tick / CONTROL_HZ)))
            robot.wait_next_tick()
    assert daemon.get("motors/status")["mode"] == "disabled"


@pytest.mark.long
def test_a_motor_that_goes_limp_while_the_robot_lies_down_is_named_and_the_robot_lies_down(limp_daemon):
    daemon, hand = limp_daemon
    notes = []
    with connected(sdk_robot(daemon, notes.append)) as robot:
        robot.reset(NEUTRAL)
        hand.make_limp("stewart_2")
    assert [note.split(" of ")[0] for note in notes] == ["warning: stewart_2"]
    assert daemon.get("motors/status")["mode"] == "disabled"


def test_jumps_are_not_reported(limp_daemon):
    daemon, _ = limp_daemon
    rng, notes = np.random.default_rng(3), []
    with connected(sdk_robot(daemon, notes.append)) as robot:
        for _ in range(8):
            goal = 0.6 * rng.uniform(CLASSROOM.low, CLASSROOM.high)
            for _ in range(rng.integers(5, 40)):
                robot.send_action(goal)
                robot.wait_next_tick()
    assert notes == []


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_no_report_in_ten_minutes_of_all_tasks(no_other_daemon):
    from reachy_kit.runtime.tasks.task_registry import own_task_names
    from reachy_kit.workflows.inputs.guarded_session import run_episode
    from reachy_kit.workflows.inputs.reporter import SilentReporter
    from reachy_kit.workflows.inputs.session import open_session
    from reachy_sim.tasks import single_expert_policy, variant_by_name

    class Notes(SilentReporter):
        """An antenna is named in a note, and so is every motor while the robot lies down."""

        def __init__(self):
            self.notes = []

        def note(self, text):
            self.notes.append(text)

    class Nothing:
        def on_episode_start(self, seed): ...

        def on_step(self, step): ...

        def on_episode_end(self, episode): ...

    for task in own_task_names():
        variant, began, seed = variant_by_name(task, "training"), time.monotonic(), 0
        reporter = Notes()
        with open_session("daemon", variant, "geometry", reporter=reporter) as session:
            while time.monotonic() - began < 600 / len(own_task_names()):
                policy = GuardedPolicy(single_expert_policy(task, 25, seed), [])  # the computer may be busy
                run_episode(session, variant, policy, seed, 25, Nothing())
                seed += 1
        assert not [note for note in reporter.notes if "does not follow" in note]
        print(f"{task}: {seed} episodes without a report", flush=True)
