"""Plot and table of a robot's identified motors."""

import io

import matplotlib.axes
import matplotlib.figure
import numpy as np

from reachy_kit.runtime.interface import CONTROL_HZ
from reachy_sim.dynamics.joints import JOINTS
from reachy_sim.sysid.identification import IdentifiedMotors
from reachy_sim.sysid.motor_recording import MotorRecording

_PIECE = 3.0
"""Length of the recording that is drawn, s: more would hide the delay."""
_HEADINGS = ("delay\nms", "gain\n%", "play\nmrad", "bandwidth\nHz", "damping", "rate limit\nrad/s", "residual\nmrad")


def plot_motors(recording: MotorRecording, motors: IdentifiedMotors, title: str) -> bytes:
    """Plot each joint's commands, measurements and model over its most active seconds, and the table below, as PNG."""
    figure = matplotlib.figure.Figure(figsize=(11, 10.5), layout="constrained")
    figure.suptitle(title)
    above, below = np.asarray(figure.subfigures(2, 1, height_ratios=(2.2, 1.2)))
    for joint, axes in enumerate(np.asarray(above.subplots(3, 3)).flat):
        piece = _most_active(recording, joint)
        inside = (recording.captured >= piece[0]) & (recording.captured <= piece[1])
        sent = (recording.sent >= piece[0]) & (recording.sent <= piece[1])
        axes.step(
            recording.sent[sent] - piece[0], np.rad2deg(recording.commands[sent, joint]),
            where="post", color="0.6", label="command",
        )  # fmt: skip
        times = recording.captured[inside] - piece[0]
        axes.plot(times, np.rad2deg(recording.measured[inside, joint]), color="tab:blue", linewidth=2, label="measured")
        axes.plot(times, np.rad2deg(motors.predicted[inside, joint]), "--", color="tab:orange", label="model")
        axes.set_title(JOINTS[joint], fontsize="medium")
        axes.spines[["top", "right"]].set_visible(False)
        if joint % 3 == 0:
            axes.set_ylabel("degrees")
        if joint >= 6:
            axes.set_xlabel("seconds")
    above.legend(*axes.get_legend_handles_labels(), loc="outside upper right", ncols=3, frameon=False)
    _draw_table(below.subplots(), motors)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def table_rows(motors: IdentifiedMotors) -> list[list[str]]:
    """Format a row per joint: each value above its 95 % interval; last, the residual of the model."""
    units = {"delay": 1e3, "gain": 1e2, "backlash": 1e3, "bandwidth": 1.0, "damping": 1.0}
    table = []
    for joint, name in enumerate(JOINTS):
        cells = [name]
        for parameter, unit in units.items():
            value = np.asarray(getattr(motors.actuators, parameter))[joint] * unit
            low, high = motors.low[parameter][joint] * unit, motors.high[parameter][joint] * unit
            cells.append(f"{_short(value)}\n{_range(low, high)}")
        rate = np.asarray(motors.actuators.rate_limit)[joint]
        if np.isinf(rate):
            cells.append(f"none\n> {_short(motors.rate_at_least[joint])}")
        else:
            cells.append(f"{_short(rate)}\n{_range(motors.low['rate_limit'][joint], motors.high['rate_limit'][joint])}")
        cells.append(f"{1e3 * motors.residual[joint]:.1f}\nof {1e3 * motors.motion[joint]:.0f}")
        table.append(cells)
    return table


def table_headings() -> list[str]:
    """Headings of the columns of ``table_rows``."""
    return ["", *_HEADINGS]


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 9.95 else f"{value:.2g}"


def _range(low: float, high: float) -> str:
    if np.isinf(high):
        return f"≥ {_short(low)}" if low > 0 else "unknown"
    return f"{_short(low)}–{_short(high)}" if low > 0 else f"≤ {_short(high)}"


def _most_active(recording: MotorRecording, joint: int) -> tuple[float, float]:
    """Start and end, s, of the piece in which the commands change most: there a motor's parameters show."""
    pace = np.abs(np.diff(recording.commands[:, joint], prepend=recording.commands[0, joint]))
    width = min(round(_PIECE * CONTROL_HZ), len(pace))
    middle = np.argmax(np.convolve(pace, np.ones(width), mode="valid"))
    return float(recording.sent[middle]), float(recording.sent[middle + width - 1])


def _draw_table(axes: matplotlib.axes.Axes, motors: IdentifiedMotors) -> None:
    axes.axis("off")
    table = axes.table(
        table_rows(motors), colLabels=table_headings(), loc="center", cellLoc="center", edges="horizontal"
    )
    table.auto_set_font_size(False)
    table.set_fontsize(8)
    table.auto_set_column_width(list(range(len(table_headings()))))
    for cell in table.get_celld().values():
        cell.set_height(0.1)
        cell.set_edgecolor("0.85")
