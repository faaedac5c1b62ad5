"""Plots of what was identified, as PNG bytes."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib.axes
import matplotlib.figure
import numpy as np

from reachy_kit.runtime.interface import CONTROL_HZ, PITCH, YAW, Array
from reachy_sim.dynamics.joints import JOINTS
from reachy_sim.sysid.excitation import Recording
from reachy_sim.sysid.identification import Identified

if TYPE_CHECKING:
    from reachy_sim.sysid.fidelity import Replay

_PIECE = 3.0
"""s of the recording that are drawn: more would hide the delay."""
_HEADINGS = ("delay\nms", "gain\n%", "play\nmrad", "bandwidth\nHz", "damping", "rate limit\nrad/s", "left over\nmrad")


def identified_motors(recording: Recording, found: Identified, title: str) -> bytes:
    """Each joint over its liveliest seconds: told, measured and the model; below, the numbers with their intervals."""
    figure = matplotlib.figure.Figure(figsize=(11, 10.5), layout="constrained")
    figure.suptitle(title)
    above, below = np.asarray(figure.subfigures(2, 1, height_ratios=(2.2, 1.2)))
    for joint, axes in enumerate(np.asarray(above.subplots(3, 3)).flat):
        piece = _liveliest(recording, joint)
        inside = (recording.captured >= piece[0]) & (recording.captured <= piece[1])
        told = (recording.sent >= piece[0]) & (recording.sent <= piece[1])
        axes.step(
            recording.sent[told] - piece[0], np.rad2deg(recording.commands[told, joint]),
            where="post", color="0.6", label="told",
        )  # fmt: skip
        times = recording.captured[inside] - piece[0]
        axes.plot(times, np.rad2deg(recording.measured[inside, joint]), color="tab:blue", linewidth=2, label="measured")
        axes.plot(times, np.rad2deg(found.predicted[inside, joint]), "--", color="tab:orange", label="model")
        axes.set_title(JOINTS[joint], fontsize="medium")
        axes.spines[["top", "right"]].set_visible(False)
        if joint % 3 == 0:
            axes.set_ylabel("degrees")
        if joint >= 6:
            axes.set_xlabel("seconds")
    above.legend(*axes.get_legend_handles_labels(), loc="outside upper right", ncols=3, frameon=False)
    _table(below.subplots(), found)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def rows(found: Identified) -> list[list[str]]:
    """What people read, a row a joint: value and below it the 95 % interval; last, what the model leaves over."""
    units = {"delay": 1e3, "gain": 1e2, "backlash": 1e3, "bandwidth": 1.0, "damping": 1.0}
    table = []
    for joint, name in enumerate(JOINTS):
        cells = [name]
        for parameter, unit in units.items():
            value = np.asarray(getattr(found.actuators, parameter))[joint] * unit
            low, high = found.low[parameter][joint] * unit, found.high[parameter][joint] * unit
            cells.append(f"{_short(value)}\n{_range(low, high)}")
        rate = np.asarray(found.actuators.rate_limit)[joint]
        if np.isinf(rate):
            cells.append(f"none\n> {_short(found.rate_at_least[joint])}")
        else:
            cells.append(f"{_short(rate)}\n{_range(found.low['rate_limit'][joint], found.high['rate_limit'][joint])}")
        cells.append(f"{1e3 * found.residual[joint]:.1f}\nof {1e3 * found.motion[joint]:.0f}")
        table.append(cells)
    return table


def headings() -> list[str]:
    """Of the columns of ``rows``."""
    return ["", *_HEADINGS]


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 9.95 else f"{value:.2g}"


def _range(low: float, high: float) -> str:
    if np.isinf(high):
        return f"≥ {_short(low)}" if low > 0 else "unknown"
    return f"{_short(low)}–{_short(high)}" if low > 0 else f"≤ {_short(high)}"


def _liveliest(recording: Recording, joint: int) -> tuple[float, float]:
    """Where most command changes are: there a motor shows what it is."""
    pace = np.abs(np.diff(recording.commands[:, joint], prepend=recording.commands[0, joint]))
    width = min(round(_PIECE * CONTROL_HZ), len(pace))
    middle = np.argmax(np.convolve(pace, np.ones(width), mode="valid"))
    return float(recording.sent[middle]), float(recording.sent[middle + width - 1])


def _table(axes: matplotlib.axes.Axes, found: Identified) -> None:
    axes.axis("off")
    table = axes.table(rows(found), colLabels=headings(), loc="center", cellLoc="center", edges="horizontal")
    table.auto_set_font_size(False)
    table.set_fontsize(8)
    table.auto_set_column_width(list(range(len(headings()))))
    for cell in table.get_celld().values():
        cell.set_height(0.1)
        cell.set_edgecolor("0.85")


def replays(sequence: Array, runs: "Sequence[Replay]", seconds: float = 8.0) -> bytes:
    """The head's yaw and pitch of several robots told the same (ticks, 9) sequence, over its first seconds."""
    figure = matplotlib.figure.Figure(figsize=(10, 5), layout="constrained")
    told = np.arange(len(sequence)) / CONTROL_HZ
    for axes, (axis, label) in zip(
        np.asarray(figure.subplots(2, 1, sharex=True)), ((YAW, "head yaw"), (PITCH, "head pitch")), strict=True
    ):
        early = told <= seconds
        axes.plot(
            told[early], np.rad2deg(sequence[early, axis]), color="0.7", drawstyle="steps-post", label="asked for"
        )
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
