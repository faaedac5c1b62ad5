"""Every command that drives a robot is protected as `run` is: watchdogs, stop keys, and takes that a camera spoils."""

import json
import re

import numpy as np
import pyarrow.parquet as pq
import pytest

from reachy_kit.runtime.interrupts import STOP
from reachy_kit.runtime.perception.camera import CAMERA_SILENT_AFTER

STOPPED = 128 + STOP

BUSY = """
import time
from reachy_kit.runtime.rollout import _Record
end_work = _Record.end_work
_Record.end_work = lambda record, decision: (time.sleep(0.045), end_work(record, decision))[1]
"""
"""Python for a command's process: its computer is so busy that each tick of the loop takes two."""

FREEZES = """
import numpy as np
from reachy_kit.runtime.recording.recorder import EpisodeRecorder
from reachy_sim.world import SimWorld
on_step, steps, image, since = EpisodeRecorder.on_step, [], [], []

def count(recorder, step):
    steps.append(step)
    on_step(recorder, step)

def freeze(world, state, now):
    since.extend([now] if len(steps) >= {step} else [])
    if not since or now - since[0] > {seconds}:
        image[:] = [(np.zeros(world.image_shape, dtype=np.uint8), now - 0.03)]
    return image[0]

EpisodeRecorder.on_step, SimWorld.camera = count, freeze
"""
"""Python for a command's process: after so many recorded steps its camera delivers no new image for a while. The
images are black: drawing them would hold up the loop of a busy computer."""

STOPS_ON_DEMAND = """
from pathlib import Path
import numpy as np
from reachy_sim.camera_stream import CameraStream
image = []

def stop(frames, state, now):
    if not Path("stopped").exists():
        image[:] = [(np.zeros((180, 320, 3), dtype=np.uint8), now - 0.03)]
    return image[0]

CameraStream.__call__ = stop
"""
"""Python for a command's process: its simulated camera delivers no new image while a file lies in the folder."""

FREEZES_IN_EACH_TAKE = """
import numpy as np
from reachy_sim.camera_stream import CameraStream
image = []

def freeze(frames, state, now):
    if now < 0.2:
        image[:] = [(np.zeros((180, 320, 3), dtype=np.uint8), now - 0.03)]
    return image[0]

CameraStream.__call__ = freeze
"""
"""Python for a command's process: the camera of its simulation freezes soon after each start of the robot's clock."""


def image_ages(dataset):
    """Age of the image of each frame, s."""
    tables = [
        pq.read_table(file, columns=["kit.capture_time", "kit.frame_time"])
        for file in sorted(dataset.glob("data/*/*.parquet"))
    ]
    return np.concatenate(
        [table["kit.capture_time"].to_numpy() - table["kit.frame_time"].to_numpy() for table in tables]
    )


def episodes(dataset):
    return json.loads((dataset / "meta/info.json").read_text())["total_episodes"]


@pytest.fixture
def move(kit):
    """A recorded move of ten seconds that stands."""
    pose = {"head": np.eye(4).tolist(), "antennas": [-0.17, 0.17], "body_yaw": 0.0}
    file = kit.folder / "stand.json"
    file.write_text(json.dumps({"description": "", "time": [0.0, 10.0], "set_target_data": [pose, pose]}))
    return file


# --- the loop ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        "replay DATASET 0",
        pytest.param("record --teleop move:MOVE --episodes 1 --out data", marks=pytest.mark.long),
        pytest.param("record --episodes 1 --out data", marks=pytest.mark.long),
        pytest.param("teleop move:MOVE", marks=pytest.mark.long),
        pytest.param("sysid --out sysid", marks=pytest.mark.long),
        pytest.param("view --policy none --out film.gif", marks=pytest.mark.long),
    ],
)
def test_a_loop_that_misses_most_of_its_ticks_ends_whatever_drives(command, kit, daemon, recorded_dataset, move):
    words = command.replace("DATASET", str(recorded_dataset)).replace("MOVE", str(move)).split()
    robot = "daemon" if words[0] == "record" or words[0] == "view" else daemon.address
    ended = kit.run(*words, "--robot", robot, before=daemon.as_default + BUSY)
    ended.says(1, "of the last 50 ticks were missed: this computer is too busy")
    assert daemon.lies_down
    if words[0] == "record":
        assert "was not kept" in ended.err or "It was not kept" in ended.err
        assert episodes(kit.folder / "data") == 0


@pytest.mark.parametrize(
    "command", ["replay DATASET 0", pytest.param("record --episodes 9 --out data", marks=pytest.mark.long)]
)
def test_a_key_stops_whatever_drives(command, kit, daemon, recorded_dataset, open_terminal, until):
    terminal = open_terminal()
    words = command.replace("DATASET", str(recorded_dataset)).split()
    running = kit.start(*words, "--robot", "daemon", before=daemon.as_default, terminal=terminal)
    terminal.wait("the space bar, Esc or q stops the robot")
    terminal.press("space")
    running.wait().says(STOPPED, "stopped by a key")
    assert daemon.lies_down
    assert terminal.is_restored


# --- the camera -------------------------------------------------------------------------------------------------------


def test_an_episode_in_which_the_camera_stops_is_not_kept_and_run_again(kit, daemon):
    """It stops in the first of two episodes for about a second and a half."""
    result = kit.run(
        "record", "--camera", "--episodes", 2, "--out", "data", "--robot", "daemon",
        before=daemon.as_default + FREEZES.format(step=30, seconds=1.5),
    )  # fmt: skip
    assert result.code == 0, result
    said = r"episode 1000000: the camera has delivered no new image for 0\.\d s\. .* It was not kept, and is run again"
    assert re.search(said, result.err), result
    data = kit.folder / "data"
    assert episodes(data) == 2
    assert image_ages(data).max() < CAMERA_SILENT_AFTER
    assert daemon.lies_down


def test_frozen_images_of_a_simulation_in_this_process_are_not_kept(kit, move):
    ended = kit.run(
        "record", "--teleop", f"move:{move}", "--camera", "--episodes", 1, "--out", "data", "--robot", "sim",
        before=FREEZES_IN_EACH_TAKE,
    )  # fmt: skip
    ended.says(1, "the camera has delivered no new image for 1.", "s. This computer is too busy to draw its images")
    assert episodes(kit.folder / "data") == 0


@pytest.mark.long
def test_a_camera_that_stays_away_ends_the_recording_and_keeps_the_episodes_before(kit, daemon):
    result = kit.run(
        "record", "--camera", "--episodes", 2, "--out", "data", "--robot", "daemon",
        before=daemon.as_default + FREEZES.format(step=120, seconds=1000),
    )  # fmt: skip
    result.says(1, "the camera has delivered no new image for", "What was saved before is kept; give the same command")
    assert episodes(kit.folder / "data") == 1
    assert daemon.lies_down


@pytest.mark.long
def test_a_take_in_which_the_camera_stops_is_not_kept_and_the_next_one_is(kit, daemon, open_terminal):
    """A person records; the camera stops in the first take, and while it is away no take starts."""
    terminal = open_terminal()
    command = kit.start(
        "record", "--teleop", "keyboard", "--camera", "--episodes", 1, "--out", "data", "--robot", "daemon",
        terminal=terminal, before=daemon.as_default + STOPS_ON_DEMAND,
    )  # fmt: skip
    terminal.wait("READY")
    terminal.press("enter")
    terminal.wait(r"RECORDING .* [1-9]\.\d s")
    stopped = kit.folder / "stopped"
    stopped.touch()
    terminal.wait(r"take 1000000 was not kept: the camera has delivered no new image for 0\.\d s", 5)
    terminal.wait("READY")
    terminal.wait("warning: the camera has delivered no new image for")
    stopped.unlink()
    terminal.wait("that has passed")
    shown = "READY"
    while shown == "READY":  # a busy computer's take is late
        terminal.press("enter")
        terminal.wait(r"RECORDING .* (0\.[89]|[1-9]\.\d) s")
        terminal.press("enter")
        shown = terminal.wait("READY|1 of 1 episodes").group()
    result = command.wait()
    assert result.code == 0, result
    assert episodes(kit.folder / "data") == 1
    assert image_ages(kit.folder / "data").max() < CAMERA_SILENT_AFTER
    assert daemon.lies_down
