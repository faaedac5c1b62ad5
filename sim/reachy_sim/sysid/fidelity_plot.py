"""Plot of replays of one action sequence on several robots."""

import io
from collections.abc import Sequence

import matplotlib.figure
import numpy as np

from reachy_kit.runtime.interface import CONTROL_HZ, PITCH, YAW, Array
from reachy_sim.sysid.action_replay import ActionReplay


def plot_replays(sequence: Array, runs: Sequence[ActionReplay], seconds: float = 8.0) -> bytes:
    """Plot the head's yaw and pitch of several replays of a (ticks, 9) sequence, over its first seconds, as PNG."""
    figure = matplotlib.figure.Figure(figsize=(10, 5), layout="constrained")
    times = np.arange(len(sequence)) / CONTROL_HZ
    for axes, (axis, label) in zip(
        np.asarray(figure.subplots(2, 1, sharex=True)), ((YAW, "head yaw"), (PITCH, "head pitch")), strict=True
    ):
        early = times <= seconds
        axes.plot(times[early], np.rad2deg(sequence[early, axis]), color="0.7", drawstyle="steps-post", label="target")
        for run in runs:
            inside = run.times <= seconds
            axes.plot(run.times[inside], np.rad2deg(run.states[inside, axis]), linewidth=1.4, label=run.name)
        axes.set_ylabel(f"{label}, degrees")
        axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("seconds")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=len(runs) + 1, frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
