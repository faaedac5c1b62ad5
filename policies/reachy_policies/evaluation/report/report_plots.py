"""Plots of evaluations and comparisons, as PNG."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reachy_policies.evaluation.policy_evaluation import Evaluation
from reachy_policies.evaluation.statistics.intervals import Estimate
from reachy_policies.figures import encode_figure

if TYPE_CHECKING:
    import numpy.typing as npt

    from reachy_policies.evaluation.comparison import Comparison

_COLUMNS = 4


def error_over_time_plot(evaluations: Sequence[Evaluation], tolerance: float) -> bytes:
    """Median error over an episode with its quartiles, a colour per policy, and the largest error that succeeds.

    Args:
        evaluations: evaluations on the same task.
        tolerance: largest error that counts as success, in the unit of ``Truth.task_error``.
    """
    error = evaluations[0].error
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    axes = figure.subplots()
    for evaluation in evaluations:
        low, middle, high = error.scale * np.percentile(evaluation.task_errors, [25, 50, 75], axis=0)
        seconds = np.arange(1, len(middle) + 1) / evaluation.policy_hz
        (line,) = axes.plot(seconds, middle, label=evaluation.policy)
        axes.fill_between(seconds, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    axes.axhline(error.scale * tolerance, color="0.4", linestyle=":", label="tolerance")
    axes.set(xlabel="seconds", ylabel=error.heading, ylim=(0, None), xlim=(0, None))
    axes.legend(frameon=False)
    return encode_figure(figure)


def intervals_plot(comparison: "Comparison") -> bytes:
    """Success and error of every group on every variant: a dot with its interval, and small strokes for trainings."""
    error = comparison.config.error
    variants, names = list(comparison.scores), [group.name for group in comparison.groups]
    figure = Figure(figsize=(9.5, 1.2 + 0.16 * len(variants) * (len(names) + 1.5)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    places = np.arange(len(variants), dtype=np.float64)[::-1] * (len(names) + 1.5)
    for index, name in enumerate(names):
        rows = places + (len(names) - 1) / 2 - index
        scores = [comparison.scores[variant][name] for variant in variants]
        _draw_estimates(left, rows, [score.success_rate for score in scores], 100, f"C{index}", name)
        _draw_estimates(right, rows, [score.iqm_error for score in scores], error.scale, f"C{index}", name)
        if len(comparison.groups[index].trainings) > 1:
            for row, score in zip(rows, scores, strict=True):
                left.plot(100 * score.rates, np.full(len(score.rates), row), "|", color=f"C{index}", markersize=6)
    for place, variant in zip(places, variants, strict=True):
        for side, reference in enumerate(comparison.references[variant]):
            right.plot(
                [error.scale * reference.iqm_error.value] * 2,
                [place - len(names) / 2, place + len(names) / 2],
                color=("0.6", "0.2")[side],
                linestyle=(":", "-")[side],
                linewidth=1.2,
                label=("expert", "oracle")[side] if place == places[0] else None,
            )
    left.set(xlabel="success (%)", xlim=(-2, 102), yticks=places, yticklabels=variants)
    right.set(xlabel=f"interquartile mean {error.heading}", xlim=(0, None))
    right.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    for axes in (left, right):
        axes.grid(axis="x", color="0.92")
    return encode_figure(figure)


def errors_over_time_plot(comparison: "Comparison") -> bytes:
    """Median error over an episode, all trainings together, a panel per variant; a single group also has quartiles."""
    variants, error = comparison.config.variants, comparison.config.error
    columns = min(_COLUMNS, len(variants))
    rows = -(-len(variants) // columns)
    figure = Figure(figsize=(max(4.5, 2.4 * columns), 0.6 + 1.8 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, variant in zip(panels, variants, strict=False):
        for index, (name, scores) in enumerate(comparison.scores[variant].items()):
            low, middle, high = error.scale * np.percentile(scores.errors, [25, 50, 75], axis=(0, 1))
            seconds = np.arange(1, len(middle) + 1) / scores.hz
            axes.plot(seconds, middle, color=f"C{index}", label=name, linewidth=1.2)
            if len(comparison.groups) == 1:
                axes.fill_between(seconds, low, high, color=f"C{index}", alpha=0.15, linewidth=0)
        axes.set_title(variant, fontsize=9)
    panels[0].set(ylim=(0, None), xlim=(0, None))  # the panels share these limits, so set them after drawing all
    for axes in panels[len(variants) :]:
        axes.set_axis_off()
    figure.supxlabel("seconds", fontsize=9)
    figure.supylabel(f"median {error.heading}", fontsize=9)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=4, frameon=False, fontsize=9)
    return encode_figure(figure)


def _draw_estimates(
    axes: Axes, rows: "npt.NDArray[np.floating[Any]]", estimates: list[Estimate], scale: float, color: str, name: str
) -> None:
    value, low, high = (
        scale * np.array([getattr(row, part) for row in estimates]) for part in ("value", "low", "high")
    )
    axes.plot(value, rows, "o", color=color, label=name, markersize=5)
    axes.hlines(rows, low, high, color=color, linewidth=2, alpha=0.6)  # NaN draws nothing
