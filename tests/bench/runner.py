"""Measurements of the runner: a decision against LeRobot's, the way to the first action, the loop on the real daemon.

An empty loop of the same rate stands for what this computer can do; loops are measured in turns, because a computer
that others use is not equally busy all the time.

Run: python tests/bench/runner.py --seconds 600     (40 minutes; half a minute for each loop in `make bench`)
"""

import argparse
import atexit
import contextlib
import functools
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from reachy_kit.runtime.interface import CONTROL_HZ
from reachy_kit.runtime.robots.pacer import TickPacer

SECONDS = 30.0
"""Length of the loop on the daemon in `make bench`, s."""
TURN, SHORT_TURN = 10.0, 4.0
"""Length of a turn of the bundle's loop, and of those that it is compared with, s."""
DECISIONS, BLOCK = 4000, 100
"""Decisions that are timed, in alternating blocks."""
SLOW = 0.3
"""Time that an artificially slow policy or detector takes, s."""
LIMITS = {"tick": 0.002, "start": 3.0, "memory": 200.0}

START = """
import json, sys, time
from pathlib import Path

import numpy as np

from reachy_kit.runtime.inference.background_policy import BackgroundPolicy
from reachy_kit.runtime.inference.bundle import read_bundle
from reachy_kit.runtime.inference.onnx_policy import load_policy
from reachy_kit.runtime.interface import CAMERA, NEUTRAL, Observation
from reachy_kit.runtime.perception.targets.ball_target import BallDetector
from reachy_kit.runtime.perception.targets.camera_perception import CameraPerception
from reachy_kit.runtime.safety import Motion, limit
SDK
bundle = read_bundle(Path(sys.argv[1]))
perception = CameraPerception(BallDetector())
policy = BackgroundPolicy(load_policy(bundle, perception.names), bundle.manifest.graphs[0].hz, patience=10)
perception.reset(0)
policy.reset()
image = np.full((720, 1280, 3), 128, dtype=np.uint8)
observation = Observation(NEUTRAL, 0.0, images={CAMERA: image}, image_times={CAMERA: 0.0})
features = perception.perceive(observation)
action = policy.act(Observation(NEUTRAL, 0.0, environment_state=features))
motion, _ = limit(NEUTRAL, Motion.at_rest(NEUTRAL), action)
now = time.time()
resident = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(("VmRSS", "VmHWM"))]
policy.close()
print(json.dumps({"now": now, "resident": {line.split()[0]: int(line.split()[1]) / 1024 for line in resident}}))
"""
"""The way to the first action, in a fresh process: imports, bundle, an image at 720p, features, policy, limiter."""


def tick() -> tuple[str, float, str, float]:
    """A decision of the chunk policy in its thread, limiter included, against its limit."""
    return "runner tick, features to applied action, p99", _decisions()["runner"], "the limit", LIMITS["tick"]


def tick_against_lerobot() -> tuple[str, float, str, float]:
    """The same against LeRobot, which has neither thread nor limiter."""
    times = _decisions()
    return "the same", times["runner"], "LeRobot's select_action with its processors, p99", times["lerobot"]


def policy_against_lerobot() -> tuple[str, float, str, float]:
    """The policy alone on both sides."""
    times = _decisions()
    return "the bundle's policy alone, p99", times["policy"], "LeRobot's, p99", times["lerobot"]


def first_action() -> tuple[str, float, str, float]:
    """From the start of the process to the first action."""
    return "cold start to the first action", _start()["seconds"], "the limit", LIMITS["start"]


def memory() -> tuple[str, float, str, float]:
    """Resident memory at the first action; in MB where others are in ms."""
    return "resident memory, MB", 1e-3 * _start()["memory"], "the limit", 1e-3 * LIMITS["memory"]


def memory_with_sdk() -> tuple[str, float, str, float]:
    """The same with the robot's SDK loaded."""
    return "the same with the SDK, MB", 1e-3 * _start(sdk=True)["memory"], "without it", 1e-3 * _start()["memory"]


def daemon_lateness() -> tuple[str, float, str, float]:
    """How late the ticks of a bundle on the daemon are, against those of an empty loop; limit twice as late."""
    late = daemon_loops(SECONDS)
    return "a bundle on the daemon, lateness p99", late["bundle"], "an empty loop", late["empty"]


def slow_policy_lateness() -> tuple[str, float, str, float]:
    """A policy of 300 ms against the same one at its own speed."""
    late = daemon_loops(SECONDS)
    return "the same with a policy of 300 ms, lateness p99", late["slow policy"], "a fast policy", late["bundle"]


def camera_lateness() -> tuple[str, float, str, float]:
    """The same with camera and detector, against an empty loop."""
    late = daemon_loops(SECONDS, camera=True)
    return "with camera and detector, lateness p99", late["bundle"], "an empty loop", late["empty"]


def slow_detector_lateness() -> tuple[str, float, str, float]:
    """A detector of 300 ms against the same one at its own speed."""
    late = daemon_loops(SECONDS, camera=True)
    return "the same with a detector of 300 ms, lateness p99", late["slow detector"], "a fast detector", late["bundle"]


BENCHMARKS = (
    tick, tick_against_lerobot, policy_against_lerobot, first_action, memory, memory_with_sdk,
    daemon_lateness, slow_policy_lateness, camera_lateness, slow_detector_lateness,
)  # fmt: skip


@functools.cache
def _trained() -> tuple[Path, Path]:
    """A run of the chunk policy for look_at and its bundle. It is hardly trained: that changes no time."""
    from learning import demonstrations

    from reachy_kit.workflows.training.train_imitation import train_imitation
    from reachy_policies.onnx_export import export_bundle

    folder = Path(tempfile.mkdtemp(prefix="bench_runner_"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    run = train_imitation(demonstrations("look_at", "training", 8), folder / "run", seed=0, settings={"max_steps": 100})
    export_bundle(run, folder / "look_at.bundle")
    return folder / "run", folder / "look_at.bundle"


# --- a decision ---------------------------------------------------------------------------------------------------


@functools.cache
def _decisions() -> dict[str, float]:
    """99th percentile of a decision on one core, s: of the runner, of its policy alone, and of LeRobot."""
    with _one_core(), contextlib.ExitStack() as at_end:
        deciders = {"runner": _runner(at_end), "policy": _policy(), "lerobot": _lerobot()}
        times: dict[str, list[float]] = {name: [] for name in deciders}
        for _ in range(DECISIONS // BLOCK):
            for name, decide in deciders.items():
                times[name] += _timed(decide)
    return {name: float(np.percentile(values, 99)) for name, values in times.items()}


def _timed(decide: Callable[[], object]) -> list[float]:
    """Durations of the decisions of a block, s; its first ten do not count."""
    times = []
    for _ in range(BLOCK + 10):
        start = time.perf_counter()
        decide()
        times.append(time.perf_counter() - start)
    return times[10:]


def _runner(at_end: contextlib.ExitStack) -> Callable[[], object]:
    """Features to applied action, as `reachy-kit run` does it on a robot."""
    from reachy_kit.runtime.inference.background_policy import BackgroundPolicy
    from reachy_kit.runtime.interface import NEUTRAL, Observation
    from reachy_kit.runtime.interpolation import interpolate
    from reachy_kit.runtime.safety import Motion, limit

    planner, features, hz = _loaded()
    policy = BackgroundPolicy(planner, hz)
    at_end.callback(policy.close)
    numbers, motion = itertools.count(), [Motion.at_rest(NEUTRAL)]

    def decide() -> None:
        position = motion[0].position
        observation = Observation(NEUTRAL, next(numbers) / hz, environment_state=features, last_action=position)
        motion[0], _ = limit(NEUTRAL, motion[0], interpolate(position, policy.act(observation), 1, 2))

    return decide


def _policy() -> Callable[[], object]:
    from reachy_kit.runtime.interface import NEUTRAL, Observation

    planner, features, _ = _loaded()
    return lambda: planner.act(Observation(NEUTRAL, 0.0, environment_state=features, last_action=NEUTRAL))


def _loaded() -> tuple[Any, np.ndarray, int]:
    """The bundle's policy, features for it, and its rate."""
    from reachy_kit.runtime.inference.bundle import read_bundle
    from reachy_kit.runtime.inference.onnx_policy import load_policy

    bundle = read_bundle(_trained()[1])
    names = bundle.manifest.environment_state
    return load_policy(bundle, names), np.zeros(len(names)), bundle.manifest.graphs[0].hz


def _lerobot() -> Callable[[], object]:
    import torch

    from reachy_policies.runs.policy_loader import load_policy
    from reachy_policies.runs.saved_run import open_run

    torch.set_num_threads(1)
    run = open_run(_trained()[0])
    policy, (before, after) = load_policy(run)
    shapes = {name: feature.shape for name, feature in policy.config.input_features.items()}
    inputs = {name: np.zeros(shape, dtype=np.float32) for name, shape in shapes.items()}

    def decide() -> Any:
        batch = {name: torch.from_numpy(value)[None] for name, value in inputs.items()}
        with torch.inference_mode():
            return after(policy.select_action(before({**batch, "task": [run.card.instruction]}))).numpy()

    return decide


@contextlib.contextmanager
def _one_core() -> Iterator[None]:
    """Leave this process one core, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


# --- the start ----------------------------------------------------------------------------------------------------


@functools.cache
def _start(*, sdk: bool = False) -> dict[str, float]:
    """Median of five starts, in a process with one thread: s to the first action, and MB that are resident then."""
    program = START.replace("SDK", "import reachy_mini" if sdk else "")
    runs = []
    for _ in range(6):
        began = time.time()
        ended = subprocess.run(
            [sys.executable, "-c", program, str(_trained()[1])], capture_output=True, text=True, check=True
        )
        said = json.loads(ended.stdout)
        runs.append((said["now"] - began, said["resident"]["VmRSS:"]))
    seconds, resident = np.median(runs[1:], axis=0)
    return {"seconds": float(seconds), "memory": float(resident), "first": runs[0][0]}


# --- the loop -----------------------------------------------------------------------------------------------------


class LatenessPacer(TickPacer):
    """A pacer that notes how late each tick is, also those so late that the schedule starts again."""

    def __init__(self) -> None:
        self.late = array("d")
        super().__init__(CONTROL_HZ)

    def wait(self) -> None:
        """Sleep until the next tick."""
        due = self._due + self._period
        super().wait()
        self.late.append(max(0.0, self._now() - due))


@functools.cache
def daemon_loops(seconds: float, *, camera: bool = False) -> dict[str, float]:
    """Lateness of the ticks of a bundle on a simulated daemon of this computer, in turns with an empty loop.

    Args:
        seconds: length of the bundle's loop.
        camera: whether a simulated camera and the ball's detector run beside it.

    Returns:
        99th percentile of the lateness, s: ``empty``, ``bundle``, and ``slow policy`` or, with a camera,
        ``slow detector``.
    """
    from reachy_kit.runtime.inference.background_policy import BackgroundPolicy
    from reachy_kit.runtime.inference.bundle import read_bundle
    from reachy_kit.runtime.inference.onnx_policy import load_policy
    from reachy_kit.runtime.perception.targets import ball_target
    from reachy_kit.runtime.rollout import rollout
    from reachy_kit.workflows.inputs.session import open_session
    from reachy_sim.tasks import variant_by_name

    bundle = read_bundle(_trained()[1])
    graph = bundle.manifest.graphs[0]
    slow = "slow detector" if camera else "slow policy"
    pacers = {name: LatenessPacer() for name in ("empty", "bundle", slow)}
    detect = ball_target.BallDetector.detect
    with open_session(
        "daemon", variant_by_name("look_at"), "detector" if camera else "geometry", camera=camera, camera_beside=True
    ) as session, contextlib.ExitStack() as at_end:  # fmt: skip
        policies = {}
        for name in ("bundle", slow):
            planner = load_policy(bundle, session.perception.names)
            if name == "slow policy":
                planner._predictor = _slowed(planner._predictor)
            policies[name] = BackgroundPolicy(planner, graph.hz)
            at_end.callback(policies[name].close)
        for turn in range(round(seconds / TURN)):
            for name, policy in policies.items():
                if name == "slow detector":
                    ball_target.BallDetector.detect = _slowed(detect)
                session.robot._pacer = pacers[name]
                pacers[name].restart()
                try:
                    rollout(
                        session.robot, policy, seconds=TURN if name == "bundle" else SHORT_TURN,
                        policy_hz=graph.hz, seed=turn,
                        perception=session.perception, world=session.world,
                    )  # fmt: skip
                finally:
                    ball_target.BallDetector.detect = detect
            pacers["empty"].restart()
            for _ in range(round(SHORT_TURN * session.robot.control_hz)):
                pacers["empty"].wait()
    return {name: float(np.percentile(pacer.late, 99)) for name, pacer in pacers.items()}


def _slowed[**P, R](work: Callable[P, R]) -> Callable[P, R]:
    """The same, after a wait that leaves the processor to others."""

    def slowed(*args: P.args, **kwargs: P.kwargs) -> R:
        time.sleep(SLOW)
        return work(*args, **kwargs)

    return slowed


def main() -> None:
    """Measure, and print each figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600.0, help="length of the bundle's loop on the daemon")
    seconds = parser.parse_args().seconds
    for name, value in _decisions().items():
        print(f"a decision, {name}: p99 {1e3 * value:.3f} ms, {value / _decisions()['lerobot']:.2f} times LeRobot's")
    for sdk in (False, True):
        start = _start(sdk=sdk)
        print(
            f"{'with the SDK: ' if sdk else ''}first action after {start['seconds']:.2f} s "
            f"(the first time {start['first']:.2f} s), {start['memory']:.0f} MB resident"
        )
    for camera in (False, True):
        late = daemon_loops(seconds, camera=camera)
        print("camera and detector" if camera else "without a camera")
        for name, value in late.items():
            print(f"  {name}: lateness p99 {1e3 * value:.2f} ms, {value / late['empty']:.2f} times an empty loop's")


if __name__ == "__main__":
    main()
