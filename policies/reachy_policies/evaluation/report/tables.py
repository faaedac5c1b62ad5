"""Tables as text cells, for the terminal and for pages; the table of evaluations."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from reachy_kit.runtime.robots.loop_rate import MARKED, NOMINAL_MS
from reachy_policies.evaluation.policy_evaluation import Evaluation
from reachy_policies.evaluation.statistics.intervals import compare_pairs, points


@dataclass(frozen=True)
class Table:
    """Text cells in named columns."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text_columns: tuple[str, ...] = ("variant", "policy", "verdict")
    """Names of columns of words; the others hold numbers, aligned right."""

    def row_groups(self) -> list[tuple[str, list[tuple[str, ...]]]]:
        """Successive rows with the same first cell, as that cell and the rest of each row."""
        return [(first, [row[1:] for row in rows]) for first, rows in groupby(self.rows, key=lambda row: row[0])]


def evaluation_table(title: str, evaluations: Sequence[Evaluation]) -> Table:
    """Success, error and the time of a control tick, a row per evaluation of the same task; see ``column_notes``."""
    error = f"{evaluations[0].error.heading}, median (quartiles)"
    calm = _has_calmness(evaluations)
    columns = (
        "policy",
        "success",
        "95 % interval",
        error,
        *(("calmness",) if calm else ()),
        "ms per tick, median/99 %",
    )
    return Table(title, columns, tuple(_evaluation_row(evaluation, calm=calm) for evaluation in evaluations))


def _has_calmness(evaluations: Sequence[Evaluation]) -> bool:
    return any(evaluation.calmness for evaluation in evaluations)


def _evaluation_row(evaluation: Evaluation, *, calm: bool) -> tuple[str, ...]:
    success = evaluation.success
    error = {name: evaluation.error.scale * value for name, value in vars(evaluation.task_error).items()}
    return (
        evaluation.policy,
        f"{sum(evaluation.successes)}/{len(evaluation.successes)} {100 * success.value:.0f} %",
        f"{100 * success.low:.0f}–{100 * success.high:.0f} %",
        f"{error['value']:.1f}{evaluation.error.symbol} ({error['low']:.1f}–{error['high']:.1f})",
        *((_calmness(evaluation),) if calm else ()),
        _timing(evaluation),
    )


def _calmness(evaluation: Evaluation) -> str:
    return f"{np.rad2deg(evaluation.calmness.speed):.2f}°/s" if evaluation.calmness else "–"


def _timing(evaluation: Evaluation) -> str:
    """Time of a tick: in simulated time what it computed; otherwise to the next one, and whether that was too long."""
    rate, work = evaluation.rate, evaluation.work_ms()
    if rate is None:
        return f"{work['p50']:.1f}/{work['p99']:.1f} work"
    late = f", {rate.slowdown:.1f}× too slow" if rate.slowdown > MARKED else ""
    return f"{rate.p50:.1f}/{rate.p99:.1f} cycle{late}"


def column_notes(evaluations: Sequence[Evaluation]) -> list[str]:
    """Explain the columns of an evaluation table, a sentence or two for each that needs it."""
    name, calm = evaluations[0].error.name, _has_calmness(evaluations)
    ticks = "ms per tick: half of the control ticks took at most the first number, 99 % at most the second"
    work = "work is computing alone, because the simulator does not wait"
    cycle = f"cycle is the time from one tick to the next, {NOMINAL_MS:.0f} ms when on time"
    clocks = {evaluation.wall_clock for evaluation in evaluations}
    used = [words for words, clock in ((work, False), (cycle, True)) if clock in clocks]
    return [
        "95 % interval: the success rates that these episodes leave open, for this one training (Wilson).",
        f"{name[0].upper()}{name[1:]}: mean over an episode's last second, then the median over the episodes.",
        *(["Calmness: mean angular speed of the head while the target stands still."] if calm else []),
        "; ".join([ticks, *used]) + ".",
    ]


def difference_line(first: Evaluation, other: Evaluation) -> str:
    """Describe the paired difference of two evaluations on the same episodes in one line."""
    difference = compare_pairs(first.successes, other.successes)
    change = difference.difference
    return (
        f"{other.policy} − {first.policy}: {points(change.value)} points, 95 % interval {points(change.low)} to "
        f"{points(change.high)}, on the same {difference.pairs} episodes; succeeded only as {first.policy}: "
        f"{len(difference.only_a)}, only as {other.policy}: {len(difference.only_b)}"
    )
