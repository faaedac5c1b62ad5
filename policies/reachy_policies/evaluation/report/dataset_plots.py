"""Pictures that explain the findings about a dataset, as PNG: each shows what a check measured, and its bound."""

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reachy_kit.dataset.checks.checked_episodes import CheckedEpisodes
from reachy_kit.dataset.checks.content.workspace_coverage import CELL, visited
from reachy_kit.dataset.checks.motion.following import LIMP, measure_following
from reachy_kit.dataset.checks.motion.jerk import LARGEST, relative_jerk
from reachy_kit.dataset.checks.motion.limiter_interventions import interventions
from reachy_kit.dataset.checks.motion.saturation import at_limits
from reachy_kit.dataset.checks.timing.capture_gaps import gap_length
from reachy_kit.dataset.checks.timing.capture_rate import slowdowns
from reachy_kit.dataset.checks.timing.dead_time import LONGEST, rests
from reachy_kit.runtime.interface import ACTION_NAMES, POSITION_AXES, Array
from reachy_kit.runtime.robots.loop_rate import MARKED
from reachy_kit.runtime.safety import CLASSROOM
from reachy_policies.figures import encode_figure

_AXES = [name.removesuffix(".pos").replace("_", " ") for name in ACTION_NAMES]
_BOUND: dict[str, Any] = {"color": "C3", "linestyle": "--", "linewidth": 1.0}
_WIDTH = 8.0


def rate_plot(episodes: CheckedEpisodes) -> bytes | None:
    """Real rate of each episode, and the times between its frames; None without capture times."""
    factors, times = slowdowns(episodes), episodes.times
    if factors is None or times is None:
        return None
    figure, (left, right) = _panels(2)
    left.plot(episodes.indices, episodes.fps / factors, "o", markersize=4)
    left.axhline(episodes.fps, color="0.4", linewidth=1.0)
    for bound in (episodes.fps / MARKED, episodes.fps * MARKED):
        left.axhline(bound, **_BOUND)
    left.set(xlabel="episode", ylabel="frames per second, measured", title="rate against the declared one")
    periods, places = episodes.steps(times)
    right.plot(episodes.indices[places], 1e3 * periods, ".", markersize=2)
    right.axhline(1e3 / episodes.fps, color="0.4", linewidth=1.0)
    right.axhline(1e3 * gap_length(episodes), **_BOUND)
    right.set(xlabel="episode", ylabel="ms to the next frame", title="gaps between frames")
    right.set_ylim(min(0.0, 1.1e3 * float(periods.min(initial=0.0))), None)
    return encode_figure(figure)


def rest_plot(episodes: CheckedEpisodes) -> bytes | None:
    """Time of each episode in which nothing moves, before and after its motion."""
    before, after, _ = rests(episodes)
    figure, (axes,) = _panels(1)
    lengths = episodes.lengths / episodes.fps
    axes.bar(episodes.indices, lengths, color="0.88", label="episode")
    axes.bar(episodes.indices, before, color="C1", label="at rest before")
    axes.bar(episodes.indices, after, bottom=lengths - after, color="C0", label="at rest after")
    axes.axhline(LONGEST, **_BOUND)
    axes.set(xlabel="episode", ylabel="s", title="dead time")
    figure.legend(frameon=False, ncols=3, loc="outside lower right")
    return encode_figure(figure)


def jerk_plot(episodes: CheckedEpisodes) -> bytes | None:
    """Histogram of the episodes' jerk, and their fastest commands by axis."""
    figure, (left, right) = _panels(2)
    jerk = relative_jerk(episodes).max(axis=1)
    left.hist(jerk, bins=np.linspace(0, max(1.5 * LARGEST, 1.05 * float(jerk.max())), 31).tolist())
    left.axvline(LARGEST, **_BOUND)
    left.set(xlabel="jerk of the worst axis, relative", ylabel="episodes", title="trembling commands")
    steps, _ = episodes.steps(episodes.action)
    relative = np.abs(steps).max(axis=0, initial=0.0) * episodes.fps / CLASSROOM.speed
    _bars(right, 100 * relative, "% of the limiter's speed", "fastest command")
    right.axvline(100.0, **_BOUND)
    return encode_figure(figure)


def limits_plot(episodes: CheckedEpisodes) -> bytes | None:
    """Share of the frames in which an axis is at its limit, and in which the limiter stepped in."""
    changed = interventions(episodes)
    figure, panels = _panels(1 if changed is None else 2)
    _bars(panels[0], 100 * at_limits(episodes).mean(axis=0), "% of the frames", "commands at the limit")
    if changed is not None:
        _bars(panels[1], 100 * changed.mean(axis=0), "% of the frames", "changed by the limiter")
    return encode_figure(figure)


def following_plot(episodes: CheckedEpisodes) -> bytes | None:
    """Correlation of command and state and the error that is left at the best delay, by axis."""
    following = measure_following(episodes)
    figure, (left, middle, right) = _panels(3)
    moved = following.moved.any(axis=0)
    correlation = np.where(moved, np.diag(following.cross), np.nan)
    _bars(left, correlation, f"correlation, {1e3 * following.lag:.0f} ms later", "state follows command")
    left.set_xlim(-1, 1)
    left.axvline(0.5, **_BOUND)
    places, axes = np.nonzero(following.moved)
    middle.plot(100 * following.ratio[places, axes], axes, "|", markersize=9)
    middle.axvline(100 * LIMP, **_BOUND)
    middle.set(xlabel="% of the command, each episode", xlim=(0, None), yticks=range(len(_AXES)), yticklabels=[])
    middle.set(title="motion of the state", ylim=(len(_AXES) - 0.5, -0.5))
    shown: Array = np.rad2deg(following.error)
    shown[POSITION_AXES] = 1e3 * following.error[POSITION_AXES]
    _bars(right, shown, "mm or degrees", "error, less its mean")
    right.set(yticklabels=[])
    return encode_figure(figure)


def coverage_plot(episodes: CheckedEpisodes) -> bytes | None:
    """Map of where the head looked, and where the episodes ended."""
    yaw, pitch = visited(episodes)
    figure, (axes,) = _panels(1, height=3.6)
    low, high = (
        [CELL * edge(float(extreme) / CELL) for extreme in (of(yaw), of(pitch))]
        for of, edge in ((np.min, np.floor), (np.max, np.ceil))
    )
    edges = [np.arange(a, max(b, a + CELL) + 0.1, CELL / 2) for a, b in zip(low, high, strict=True)]
    counts, *_ = np.histogram2d(yaw, pitch, bins=edges)
    seconds = np.where(counts.T > 0, counts.T / episodes.fps, np.nan)
    mesh = axes.pcolormesh(*edges, seconds, cmap="YlGnBu")
    axes.plot(yaw[episodes.ends], pitch[episodes.ends], "o", color="C1", markersize=3, label="end of an episode")
    figure.colorbar(mesh, label="s", fraction=0.04)
    axes.invert_xaxis()  # positive yaw looks left
    axes.invert_yaxis()  # positive pitch looks down
    axes.set(xlabel="head yaw, degrees (left is positive)", ylabel="head pitch, degrees", title="where the head looked")
    figure.legend(frameon=False, loc="outside lower right")
    return encode_figure(figure)


def ranges_plot(episodes: CheckedEpisodes) -> bytes | None:
    """Range of the measured state by axis, relative to the limiter's workspace."""
    figure, (axes,) = _panels(1)
    low, high = (of(episodes.state / CLASSROOM.high, axis=0) for of in (np.nanmin, np.nanmax))
    axes.barh(_AXES, 100 * (high - low), left=100 * low, color="C0")
    for bound in (-100.0, 100.0):
        axes.axvline(bound, **_BOUND)
    if max(-float(low.min()), float(high.max())) > 10:
        axes.set_xscale("symlog", linthresh=100)
    axes.invert_yaxis()
    axes.set(xlabel="% of the workspace", title="range of the measured state")
    return encode_figure(figure)


PLOTS: dict[str, tuple[Callable[[CheckedEpisodes], bytes | None], str]] = {
    "RK105": (ranges_plot, "range of each axis of the state against the workspace"),
    "RK111": (rate_plot, "measured rate of each episode and the times between frames"),
    "RK112": (rate_plot, "measured rate of each episode and the times between frames"),
    "RK113": (rate_plot, "measured rate of each episode and the times between frames"),
    "RK114": (rate_plot, "measured rate of each episode and the times between frames"),
    "RK116": (rest_plot, "time at rest before and after each episode's motion"),
    "RK121": (jerk_plot, "histogram of the jerk, and the fastest command of each axis"),
    "RK122": (jerk_plot, "histogram of the jerk, and the fastest command of each axis"),
    "RK123": (limits_plot, "share of the frames at the limit of each axis"),
    "RK124": (limits_plot, "share of the frames at the limit of each axis, and of those that the limiter changed"),
    "RK125": (following_plot, "correlation of command and state, and the error that is left, by axis"),
    "RK131": (coverage_plot, "map of the head's yaw and pitch"),
    "RK132": (coverage_plot, "map of the head's yaw and pitch"),
}
"""Number of a finding → the picture that explains it, and what that shows."""


def _panels(count: int, height: float = 2.8) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    return figure, list(np.atleast_1d(figure.subplots(1, count)))


def _bars(axes: Axes, values: Array, label: str, title: str) -> None:
    axes.barh(_AXES, np.nan_to_num(values), color="C0")
    axes.invert_yaxis()
    axes.set(xlabel=label, title=title, xlim=(0, max(1.0, 1.05 * float(np.nanmax(values)))))
