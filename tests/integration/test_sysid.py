"""`reachy-kit sysid`: safe on any robot, and what it finds makes the simulator behave like that robot."""

import http.server
import json
import signal
import socket
import threading

import numpy as np
import pytest

from reachy_kit.runtime.interface import BODY_YAW, CONTROL_HZ, NEUTRAL, YAW
from reachy_kit.runtime.robots.lifecycle import connected
from reachy_kit.runtime.robots.sdk import SdkRobot, SdkRobotConfig
from reachy_sim.dynamics.actuators import IDENTIFIED, Actuators
from reachy_sim.dynamics.joints import joint_targets
from reachy_sim.dynamics.tiers import open_dynamics
from reachy_sim.sysid.excitation import excitation_targets
from reachy_sim.sysid.identification import identify_motors
from reachy_sim.sysid.motor_recording import MotorRecording, record_motors


def test_the_simulator_is_identified_as_it_is(kit):
    result = kit.start("sysid", "--robot", "sim", "--delay", 0.03, "--out", "motors", "--json").wait(280)
    assert result.code == 0, result
    printed, written = result.json, json.loads((kit.folder / "motors/actuators.json").read_text())
    assert printed == {"out": "motors", **written}
    assert written["robot"] == "sim"
    assert written["command"] == "reachy-kit sysid --robot sim --delay 0.03 --out motors"
    assert (kit.folder / "motors/sysid.png").read_bytes().startswith(b"\x89PNG")
    assert len(MotorRecording.load(kit.folder / "motors/recording.npz").sent) == len(excitation_targets())
    # What the kinematic tier is made of, within the intervals of what was measured just now.
    for name in ("bandwidth", "damping", "backlash"):
        low, high = np.array(written["intervals_95"][name], dtype=float).T
        value = getattr(IDENTIFIED, name)
        assert ((np.nan_to_num(low) <= value) & (value <= np.nan_to_num(high, nan=np.inf))).all(), name
    np.testing.assert_allclose(Actuators.load(kit.folder / "motors/actuators.json").delay, 0.03, atol=1e-4)


# Refusals


def test_a_folder_that_cannot_be_written_is_noticed_before_the_robot_moves(kit):
    (kit.folder / "notes.txt").write_text("keep me")
    kit.run("sysid", "--robot", "daemon", "--out", "notes.txt/motors").says(2, "--out notes.txt/motors cannot be made")


def test_no_robot_answers_there(kit):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    kit.run("sysid", "--robot", address, "--out", "motors").says(3, f"no Reachy Mini daemon answers at {address}")


class RealRobot(http.server.BaseHTTPRequestHandler):
    """A stand-in with the status of a real robot's daemon; it has no robot to move."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"state": "running", "simulation_enabled": False}).encode())

    def log_message(self, *_):
        pass


def test_a_real_robot_is_not_moved_without_confirmation(kit):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), RealRobot) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        result = kit.run("sysid", "--robot", f"127.0.0.1:{server.server_port}", "--out", "motors")
        server.shutdown()
    result.says(4, "will move for 35 s; clear the table", "--yes")


@pytest.mark.long
def test_ctrl_c_brings_the_robot_to_rest(kit, daemon, until):
    command = kit.start("sysid", "--robot", daemon.address, "--out", "motors")
    until(lambda: abs(daemon.state[BODY_YAW]) > 0.1)
    command.send(signal.SIGINT)
    command.wait().says(130, "stopped by Ctrl-C")
    until(lambda: daemon.lies_down, 10)
    assert not (kit.folder / "motors/actuators.json").exists()


# What it is for


def moves(seed, seconds=15):
    """Targets (T, 9) that jump from pose to pose, unlike the excitation."""
    random = np.random.default_rng(seed)
    reach = np.array([0.008, 0.008, 0.01, 0.2, 0.25, 0.3, 0.5, 0.8, 0.8])
    targets = np.zeros((seconds * CONTROL_HZ, 9))
    start = 25
    while start < len(targets):
        length = random.integers(15, 50)
        targets[start : start + length] = random.uniform(-reach, reach)
        start += length
    targets[:, YAW] += targets[:, BODY_YAW]
    return NEUTRAL + targets


def errors(recording, actuators):
    """Root mean square errors, (9,) rad, of the physics tier on the commands of the recording."""
    dynamics = open_dynamics("physics", 1)
    dynamics.reset(np.zeros(1, dtype=int), NEUTRAL[None], actuators)
    clock = recording.captured - recording.sent[0]
    ticks = np.arange(round((recording.sent[-1] - recording.sent[0]) * CONTROL_HZ) + 1) / CONTROL_HZ
    newest = np.searchsorted(recording.sent - recording.sent[0], ticks + 0.5 / CONTROL_HZ, side="right") - 1
    path = [joint_targets(dynamics.state)[0]]
    for index in newest:
        dynamics.step(recording.commands[index][None])
        path.append(joint_targets(dynamics.state)[0])
    times = np.append(ticks, ticks[-1] + 1 / CONTROL_HZ)
    simulated = np.stack([np.interp(clock, times, joint) for joint in np.array(path).T], axis=-1)
    off = (simulated - recording.measured)[recording.steady]
    return np.sqrt(np.mean(off**2, axis=0))


def overall(error):
    return np.sqrt(np.mean(error**2))


@pytest.mark.long
def test_the_daemons_motors_bring_the_simulator_as_near_as_it_gets(kit, daemon):
    """The remaining error is the daemon's: it reads commands every 22 ms, so their delays differ."""
    kit.run("--version")  # what loads LeRobot beside us is done with it, and leaves the daemon its time
    address = daemon.address
    with connected(SdkRobot(SdkRobotConfig(address.host, address.port))) as robot:
        shaken = record_motors(robot, excitation_targets(), wall_clock=True)
        moved = record_motors(robot, moves(1), wall_clock=True)
    if max(shaken.stalled, moved.stalled) > 0.002:
        pytest.skip("this computer was too busy: the daemon's clock stood still now and then")
    found = overall(errors(moved, identify_motors(shaken).actuators))
    assert found < 0.7 * overall(errors(moved, Actuators()))
    # The best that any delay could have done, had it been chosen on these very moves.
    assert found < 1.2 * min(overall(errors(moved, Actuators(delay=delay))) for delay in np.arange(0.0, 0.05, 0.004))
