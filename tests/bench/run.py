"""Benchmarks: each a ratio against a rival or a limit in the same run. They measure; they never pass or fail.

Run: make bench   (writes runs/bench.json and prints a table; about ten minutes, of which eight are trainings)
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import camera_recording
import dataset_care
import head_camera
import learning
import numpy as np
import recording
import runner
import simulation
import telemetry
from rich.console import Console
from rich.table import Table

SCRIPTS = Path(sys.executable).parent


def median_seconds(work: Callable[[], object], repeat: int = 7, number: int = 1) -> float:
    """Median s of one call, over `repeat` rounds of `number` calls after a round that does not count."""
    seconds = []
    for _ in range(repeat + 1):
        start = time.perf_counter()
        for _ in range(number):
            work()
        seconds.append((time.perf_counter() - start) / number)
    return statistics.median(seconds[1:])


def command(*words: str) -> Callable[[], object]:
    """Running a command to its end."""
    return lambda: subprocess.run([str(SCRIPTS / words[0]), *words[1:]], check=True, capture_output=True)


def help_page() -> tuple[str, float, str, float]:
    """How long one waits for --help; limit 0.5 s."""
    ours = median_seconds(command("reachy-kit", "--help"), repeat=5)
    theirs = median_seconds(command("lerobot-record", "--help"), repeat=1)
    return "reachy-kit --help", ours, "lerobot-record --help", theirs


def limiter() -> tuple[str, float, str, float]:
    """One limiter call of one robot, against the 20 ms tick it must fit into."""
    from reachy_kit.runtime.interface import NEUTRAL
    from reachy_kit.runtime.safety import Motion, limit

    goal = NEUTRAL + np.array([0, 0, 0, 0, 0.1, 0.3, 0.1, 0, 0])
    motion = Motion.at_rest(NEUTRAL)
    return "limiter, one robot", median_seconds(lambda: limit(NEUTRAL, motion, goal), number=200), "a tick", 0.02


def inverse_kinematics() -> tuple[str, float, str, float]:
    """1,024 poses at once, against the Rust kinematics called in a loop."""
    from reachy_mini_rust_kinematics import ReachyMiniRustKinematics

    from reachy_kit.runtime import kinematics
    from reachy_kit.runtime.geometry import pose_from_vector
    from reachy_kit.runtime.interface import NEUTRAL

    rust = ReachyMiniRustKinematics(kinematics.MOTOR_ARM_LENGTH, kinematics.ROD_LENGTH)
    for motor, point, sign in zip(
        kinematics.MOTOR_FROM_BODY, kinematics.BRANCH_POINTS, kinematics.SOLUTION_SIGNS, strict=True
    ):
        full = np.vstack([motor, [0, 0, 0, 1]])
        rust.add_branch(point.tolist(), np.linalg.inv(full).tolist(), int(sign))
    vectors = np.tile(NEUTRAL, (1024, 1))
    vectors[:, 3:6] += np.random.default_rng(0).uniform(-0.2, 0.2, (1024, 3))
    poses = pose_from_vector(vectors)
    raised = poses.copy()
    raised[:, 2, 3] += kinematics.HEAD_Z_OFFSET
    lists = raised.tolist()
    ours = median_seconds(lambda: kinematics.inverse(poses, np.zeros(1024)), number=10)
    theirs = median_seconds(lambda: [rust.inverse_kinematics(pose, 0.0) for pose in lists])
    return "inverse kinematics, 1,024 poses", ours, "the Rust kinematics in a loop", theirs


def simulated_tick() -> tuple[str, float, str, float]:
    """A whole tick of SimRobot, against its bare physics."""
    import mujoco

    from reachy_kit.runtime.interface import NEUTRAL
    from reachy_sim.dynamics.closed_chain import ClosedChain
    from reachy_sim.dynamics.physics_tier import Physics
    from reachy_sim.robot import SimRobot

    robot = SimRobot()
    robot.connect()
    physics = Physics()
    data, linkage = mujoco.MjData(physics.model), ClosedChain(physics.model)
    data.qpos[:] = linkage.positions(NEUTRAL)
    data.ctrl[:] = data.qpos[linkage.motors]

    def tick() -> None:
        robot.send_action(NEUTRAL)
        robot.wait_next_tick()

    bare = median_seconds(lambda: mujoco.mj_step(physics.model, data, physics.settings.substeps), number=100)
    return "SimRobot, a tick", median_seconds(tick, number=100), "its MuJoCo steps alone", bare


def camera_frame() -> tuple[str, float, str, float]:
    """A frame of the head camera, against one with the robot's meshes in the scene."""
    import mujoco

    from reachy_kit.runtime.perception.camera import SIM_CAMERA
    from reachy_sim.dynamics.model import robot_model
    from reachy_sim.rendering.head_camera import HeadCameraRenderer

    camera = HeadCameraRenderer()
    target = np.array([0.8, 0.0, 0.0])
    ours = median_seconds(lambda: camera.render(np.eye(4), target), number=20)
    camera.close()
    model = robot_model(drawing=True)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    renderer = mujoco.Renderer(model, SIM_CAMERA.height, SIM_CAMERA.width)

    def with_meshes() -> None:
        renderer.update_scene(data, camera="eye_camera")
        renderer.render()

    theirs = median_seconds(with_meshes, repeat=3)
    renderer.close()
    return f"head camera, {SIM_CAMERA.width} × {SIM_CAMERA.height}", ours, "with the robot's meshes", theirs


BENCHMARKS = (
    help_page,
    limiter,
    inverse_kinematics,
    simulated_tick,
    simulation.physics_batch,
    simulation.single_environment,
    simulation.kinematic_batch,
    simulation.kinematic_pair,
    simulation.kinematic_wide_pair,
    simulation.linearity,
    camera_frame,
    head_camera.batch_frames,
    recording.early_save,
    recording.late_save,
    recording.flushing,
    recording.save_with_images,
    recording.whole_recording,
    camera_recording.loop_lateness,
    *runner.BENCHMARKS,
    telemetry.tick,
    telemetry.lateness,
    dataset_care.thousand_episodes,
    learning.imitation_plateau,
    learning.throughput,
    learning.throughput_of_defaults,
    learning.to_the_goal,
)


def main() -> None:
    """Run all benchmarks, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="where to write the results")
    parser.add_argument("--only", default="", help="only benchmarks with this in their names")
    arguments = parser.parse_args()
    console = Console()
    table = Table("what", "ms", "against", "ms", "ratio", title="medians; ratio below 1 is ours being less")
    results = []
    for benchmark in [run for run in BENCHMARKS if arguments.only in f"{run.__module__}.{run.__name__}"]:
        with console.status(benchmark.__name__):
            what, ours, against, theirs = benchmark()
        results.append(
            {"what": what, "seconds": ours, "against": against, "their_seconds": theirs, "ratio": ours / theirs}
        )
        table.add_row(what, f"{1e3 * ours:.3g}", against, f"{1e3 * theirs:.3g}", f"{ours / theirs:.3f}")
    console.print(table)
    kilobytes = {tier: simulation.memory(tier) for tier in ("physics", "kinematic")}
    console.print("memory per environment: " + ", ".join(f"{tier} {size:.0f} KB" for tier, size in kilobytes.items()))
    if arguments.json:
        machine = {"python": platform.python_version(), "cpus": os.cpu_count(), "machine": platform.machine()}
        arguments.json.write_text(
            json.dumps({"machine": machine, "results": results, "kilobytes": kilobytes}, indent=2)
        )
        console.print(f"written to {arguments.json}")


if __name__ == "__main__":
    main()
