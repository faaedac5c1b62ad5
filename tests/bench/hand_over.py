"""A picture of hand-overs: idle breathes, the tracker takes over while it sees its target, and idle again.

Run it: .venv/bin/python tests/bench/hand_over.py --out reachy_kit/images/hand_over.png
"""

import argparse
import contextlib
from dataclasses import replace
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from reachy_kit.runtime.behaviours.driving.free_speed import free_speed
from reachy_kit.runtime.interface import CONTROL_HZ, PITCH, YAW
from reachy_kit.runtime.perception.target import VISIBLE
from reachy_kit.runtime.rollout import rollout
from reachy_kit.workflows.inputs.drivers import read_drivers
from reachy_kit.workflows.inputs.session import open_session
from reachy_sim.tasks import variant_by_name

COLOURS = {"idle": "#e8eef7", "track": "#fde9cf"}


class Trace:
    """What a rollout did, a row for each step."""

    def __init__(self) -> None:
        self.steps = []

    def on_episode_start(self, seed) -> None:
        """Begin without steps."""
        self.steps = []

    def on_step(self, step) -> None:
        """Keep a step."""
        self.steps.append(step)

    def on_episode_end(self, episode) -> None:
        """Do nothing."""


def drive(seconds: float, seed: int):
    """The steps of an episode, and the changes of its driver."""
    drivers, trace, changes = read_drivers(["track", "idle"]), Trace(), []
    variant = variant_by_name(drivers.task)
    variant = replace(variant, task=replace(variant.task, hidden=(5.0, 5.0), between=(9.0, 9.0)))
    with (
        contextlib.ExitStack() as at_rest,
        open_session("sim", variant, "geometry", camera=False, features=drivers.features) as session,
    ):
        policy = drivers.open(session, at_rest, changes.append).policy
        rollout(
            session.robot, policy, seconds=seconds, policy_hz=drivers.hz, seed=seed, perception=session.perception,
            world=session.world, subscribers=[trace],
        )  # fmt: skip
    return trace.steps, changes


def draw(steps, changes, out: Path) -> None:
    """Write the picture."""
    times = np.array([step.next_observation.capture_time for step in steps])
    states = np.rad2deg([step.next_observation.state for step in steps])
    commands = np.array([step.action for step in steps])
    targets = np.array([step.truth.target for step in steps])
    seen = np.array([step.observation.environment_state[VISIBLE] > 0 for step in steps])
    heights = 1000 * commands[:, 2]
    bearing = np.where(seen, np.rad2deg(np.arctan2(targets[:, 1], targets[:, 0])), np.nan)
    figure, (top, middle, bottom) = plt.subplots(3, 1, figsize=(10, 6.4), sharex=True, height_ratios=(3, 1, 1.4))
    ends = [*(change.time for change in changes[1:]), times[-1]]
    for panel in (top, middle, bottom):
        for change, end in zip(changes, ends, strict=True):
            panel.axvspan(change.time, end, color=COLOURS[change.after], lw=0)
        panel.spines[["top", "right"]].set_visible(False)
    for change, end in zip(changes, ends, strict=True):
        top.text((change.time + end) / 2, 0.02, change.after, transform=top.get_xaxis_transform(), ha="center")
    top.plot(times, bearing, color="#c4451c", lw=2.5, label="target, while it is seen")
    top.plot(times, states[:, YAW], color="#16324f", label="head, measured")
    top.set_ylabel("left of ahead, °")
    top.legend(loc="upper right", bbox_to_anchor=(1.0, 1.2), frameon=False, ncols=2)
    middle.plot(times, heights, color="#16324f")
    middle.set_ylabel("breath, mm")
    speeds = np.rad2deg(np.diff(commands[:, [PITCH, YAW]], axis=0) * CONTROL_HZ)
    bottom.plot(times[1:], speeds, label=["pitch", "yaw"])
    for side in (-1, 1):
        bottom.axhline(side * np.rad2deg(free_speed()[YAW]), color="grey", ls=":")
    bottom.set_ylabel("commanded, °/s")
    bottom.legend(loc="upper right", frameon=False, ncols=2)
    bottom.set_xlabel("s (dotted: the speed up to which the limiter changes nothing)")
    figure.tight_layout()
    figure.savefig(out, dpi=110)


def main() -> None:
    """Draw it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=26.0)
    parser.add_argument("--seed", type=int, default=3)
    asked = parser.parse_args()
    steps, changes = drive(asked.seconds, asked.seed)
    draw(steps, changes, asked.out)
    off = max(float(np.abs(step.action - step.request).max()) for step in steps)
    print(
        f"{len(changes) - 1} hand-overs in {asked.seconds:g} s; the limiter changed the requests by {off:.1e} at most"
    )


if __name__ == "__main__":
    main()
