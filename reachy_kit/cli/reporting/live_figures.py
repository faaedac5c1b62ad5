"""Figures of the recording screen: where the target is in the camera's view, and the nine numbers of the robot."""

import numpy as np
from rich.columns import Columns
from rich.console import RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from reachy_kit.runtime.interface import ACTION_NAMES, ACTION_UNITS
from reachy_kit.runtime.perception.target import AGE, BELOW, RIGHT, TARGET_FEATURES, VISIBLE
from reachy_kit.runtime.recording.takes.live_view import LiveView

_COLUMNS, _ROWS = 29, 9
"""Characters of the view; a character is about twice as high as it is wide."""
_VIEW = np.deg2rad(35.0), np.deg2rad(24.0)
"""Bearings at the edges of the view, right and below, rad."""
_UNITS = {"rad": ("°", 180 / np.pi), "m": ("mm", 1000.0)}


def target_text(view: LiveView) -> str:
    """Where the target is, in words; empty where the task has none."""
    values = view.environment_state
    if values is None or view.features[: len(TARGET_FEATURES)] != TARGET_FEATURES:
        return ""
    right, below = np.rad2deg(values[RIGHT]), np.rad2deg(values[BELOW])
    text = f"target {abs(right):.0f}° {'right' if right >= 0 else 'left'}, {abs(below):.0f}° "
    text += "below" if below >= 0 else "above"
    return text if values[VISIBLE] > 0.5 else f"{text} (not visible for {values[AGE]:.1f} s)"


def draw_figures(view: LiveView) -> RenderableType:
    """The target in the camera's view, where there is one, beside the robot's numbers."""
    numbers = _numbers(view)
    return Columns([_camera_view(view), numbers], padding=(0, 2)) if target_text(view) else numbers


def _camera_view(view: LiveView) -> Panel:
    assert view.environment_state is not None
    rows = [[" "] * _COLUMNS for _ in range(_ROWS)]
    rows[_ROWS // 2][_COLUMNS // 2] = "+"
    right, below = view.environment_state[[RIGHT, BELOW]]
    column, row = (
        round(float(np.clip(value / edge, -1, 1) * (count // 2)) + count // 2)
        for value, edge, count in ((right, _VIEW[0], _COLUMNS), (below, _VIEW[1], _ROWS))
    )
    visible = view.environment_state[VISIBLE] > 0.5
    text = Text()
    for index, characters in enumerate(rows):
        if index == row:
            text.append("".join(characters[:column]))
            text.append("●" if visible else "○", "bold red" if visible else "red")
            text.append("".join(characters[column + 1 :]))
        else:
            text.append("".join(characters))
        text.append("\n" if index < _ROWS - 1 else "")
    return Panel(text, title="the camera's view", expand=False, padding=0)


def _numbers(view: LiveView) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_row("", *(Text(heading, "dim", justify="right") for heading in ("measured", "commanded")))
    for name, unit, measured, commanded in zip(ACTION_NAMES, ACTION_UNITS, view.state, view.action, strict=True):
        symbol, scale = _UNITS[unit]
        table.add_row(
            name.removesuffix(".pos").replace("_", " "),
            *(Text(f"{scale * value:.1f} {symbol}", justify="right") for value in (measured, commanded)),
        )
    return table
