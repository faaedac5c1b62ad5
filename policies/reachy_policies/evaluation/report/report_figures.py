"""Plots of a comparison of arms, as PNG bytes."""

import io

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reachy_kit.runtime.interface import Array
from reachy_policies.evaluation.compare import Compared
from reachy_policies.evaluation.statistics.intervals import Rate

_COLUMNS = 4


def intervals(compared: Compared) -> bytes:
    """Success and error of every arm on every variant: a dot, its interval, and small the single trainings."""
    variants, names = list(compared.scores), [group.name for group in compared.groups]
    figure = Figure(figsize=(9.5, 1.2 + 0.16 * len(variants) * (len(names) + 1.5)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    places = np.arange(len(variants))[::-1] * (len(names) + 1.5)
    for index, name in enumerate(names):
        rows = places + (len(names) - 1) / 2 - index
        scores = [compared.scores[variant][name] for variant in variants]
        singles = len(compared.groups[index].trainings) > 1
        _dots(left, rows, [one.success_rate for one in scores], 100, f"C{index}", name)
        _dots(right, rows, [one.iqm_error for one in scores], 180 / np.pi, f"C{index}", name)
        for row, one in zip(rows, scores, strict=True) if singles else ():
            left.plot(100 * one.rates, np.full(len(one.rates), row), "|", color=f"C{index}", markersize=6)
    for place, variant in zip(places, variants, strict=True):
        for side, reference in enumerate(compared.references[variant]):
            right.plot(
                [np.rad2deg(reference.iqm_error.value)] * 2,
                [place - len(names) / 2, place + len(names) / 2],
                color=("0.6", "0.2")[side],
                linestyle=(":", "-")[side],
                linewidth=1.2,
                label=("expert", "oracle")[side] if place == places[0] else None,
            )
    left.set(xlabel="success (%)", xlim=(-2, 102), yticks=places, yticklabels=variants)
    right.set(xlabel="interquartile mean error (degrees)", xlim=(0, None))
    right.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    for axes in (left, right):
        axes.grid(axis="x", color="0.92")
    return _png(figure)


def errors_over_time(compared: Compared) -> bytes:
    """Median error over an episode, all trainings together, a panel a variant; of the only arm the quartiles too."""
    variants = compared.config.variants
    columns = min(_COLUMNS, len(variants))
    rows = -(-len(variants) // columns)
    figure = Figure(figsize=(max(4.5, 2.4 * columns), 0.6 + 1.8 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, variant in zip(panels, variants, strict=False):
        for index, (name, one) in enumerate(compared.scores[variant].items()):
            low, middle, high = np.rad2deg(np.percentile(one.errors, [25, 50, 75], axis=(0, 1)))
            seconds = np.arange(1, len(middle) + 1) / one.hz
            axes.plot(seconds, middle, color=f"C{index}", label=name, linewidth=1.2)
            if len(compared.groups) == 1:
                axes.fill_between(seconds, low, high, color=f"C{index}", alpha=0.15, linewidth=0)
        axes.set_title(variant, fontsize=9)
    panels[0].set(ylim=(0, None), xlim=(0, None))  # shared, so after all of them are drawn
    for axes in panels[len(variants) :]:
        axes.set_axis_off()
    figure.supxlabel("seconds", fontsize=9)
    figure.supylabel("median error (degrees)", fontsize=9)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=4, frameon=False, fontsize=9)
    return _png(figure)


def _dots(axes: Axes, rows: Array, rates: list[Rate], scale: float, color: str, name: str) -> None:
    value, low, high = (scale * np.array([getattr(one, part) for one in rates]) for part in ("value", "low", "high"))
    axes.plot(value, rows, "o", color=color, label=name, markersize=5)
    axes.hlines(rows, low, high, color=color, linewidth=2, alpha=0.6)  # NaN draws nothing


def _png(figure: Figure) -> bytes:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()
