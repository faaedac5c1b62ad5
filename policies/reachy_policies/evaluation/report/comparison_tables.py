"""Tables of a comparison: scores of every group on every variant, and differences from the first group."""

import numpy as np

from reachy_kit.runtime.interface import TaskError
from reachy_policies.evaluation.comparison import HELD_OUT, Comparison
from reachy_policies.evaluation.report.tables import Table
from reachy_policies.evaluation.statistics.intervals import Estimate, points
from reachy_policies.evaluation.statistics.score_comparison import Scope, ScoreComparison
from reachy_policies.evaluation.statistics.scores import Scores

SCORE_COLUMNS = (
    "variant", "policy", "success, 95 %", "IQM error, 95 %", "gap closed", "jerk", "action rate", "demo distance"
)  # fmt: skip
DIFFERENCE_COLUMNS = ("variant", "policy", "points, 95 %", "pairs", "p", "verdict")
FEW_EPISODES = 100
_SCOPES: dict[Scope, str] = {
    "trainings": "",
    "one training": "one training: ",
    "no training": "these policies only",
}


def comparison_tables(title: str, comparison: Comparison) -> list[Table]:
    """Tables of a comparison: scores, differences from the first group, and these at equal in-task return."""
    tables = [score_table(title, comparison)]
    if len(comparison.groups) > 1:
        tables.append(difference_table(comparison))
        if any(group.trained for group in comparison.groups):
            tables.append(difference_table(comparison, equal_return=True))
    return tables


def score_table(title: str, comparison: Comparison) -> Table:
    """Scores of every group on every variant."""
    rows = [
        (variant, name, *_score_cells(scores, comparison.references[variant], comparison.config.error))
        for variant, by_group in comparison.scores.items()
        for name, scores in by_group.items()
    ]
    return Table(title, SCORE_COLUMNS, tuple(rows))


def _score_cells(scores: Scores, references: tuple[Scores, Scores], error: TaskError) -> tuple[str, ...]:
    gap, distance = float(scores.gap_closed(*references).mean()), float(np.rad2deg(scores.demo_distance.mean()))
    return (
        _interval(scores.success_rate, 100, 0, " %"),
        _interval(scores.iqm_error, error.scale, 1, error.symbol),
        "—" if np.isnan(gap) else f"{gap:.2f}",
        f"{scores.jerk.mean():.0f}",
        f"{scores.action_rate.mean():.2f}",
        "—" if np.isnan(distance) else f"{distance:.1f}°",
    )


def difference_table(comparison: Comparison, *, equal_return: bool = False) -> Table:
    """Differences in success between every group and the first, on every variant.

    Args:
        comparison: at least two groups.
        equal_return: only between trainings of equal in-task return.
    """
    rows = []
    for variant, by_group in comparison.against_first.items():
        for name, compared in by_group.items():
            difference = comparison.at_equal_return(variant, name) if equal_return else compared
            missing = "no matched pairs" if equal_return else "no common seeds"
            rows.append((variant, name, *_difference_cells(difference, missing)))
    title = f"against {comparison.groups[0].name}" + (" at equal in-task return" if equal_return else "")
    return Table(title, DIFFERENCE_COLUMNS, tuple(rows))


def _difference_cells(compared: ScoreComparison | None, missing: str) -> tuple[str, ...]:
    if compared is None:
        return "—", "0", "—", missing
    difference = compared.difference
    return (
        f"{points(difference.value)} ({points(difference.low)} to {points(difference.high)})",
        str(len(compared.differences)),
        "—" if compared.p_value is None else f"{compared.p_value:.3f}",
        _SCOPES[compared.scope] + (compared.verdict or ""),
    )


def remarks(comparison: Comparison) -> list[str]:
    """Sentences that the reader of a comparison's tables should know."""
    config, first = comparison.config, comparison.groups[0].name
    sentences = []
    scopes = {compared.scope for row in comparison.against_first.values() for compared in row.values() if compared}
    if "one training" in scopes:
        sentences.append(
            "One training each: the interval is about these policies, not about the way they were trained."
        )
    if "trainings" in scopes:
        sentences.append(
            "There is no p below 6 pairs of training seeds and no claim below 10; “kept” means that the whole interval "
            f"lies within {100 * config.margin:g} points."
        )
    if len(config.held_out) > 1 and len(comparison.groups) > 1:
        sentences.append(f"Decide by “{HELD_OUT}”: of many tests, one for each variant, some reject by chance.")
    if config.episodes < FEW_EPISODES:
        sentences.append(f"{config.episodes} episodes are few: a claim needs {FEW_EPISODES} or more.")
    other = sorted({run.card.variant for group in comparison.groups for run in group.runs} - {"", config.in_task})
    if other:
        sentences.append(
            f"Some policies were trained on the variant {', '.join(other)}: --variant sets the one for in-task return."
        )
    return sentences + _matching_remarks(comparison, first)


def _matching_remarks(comparison: Comparison, first: str) -> list[str]:
    sentences = []
    for name, matched in comparison.matched.items():
        if matched.pairs and any(group.trained for group in matched.groups):
            stand_ins = f" ({'; '.join(matched.stand_ins)})" if matched.stand_ins else ""
            sentences.append(
                f"{name} and {first}: {len(matched.pairs)} pairs of in-task returns within "
                f"{comparison.config.match:g}{stand_ins}."
            )
    return sentences


def _interval(estimate: Estimate, scale: float, digits: int, unit: str) -> str:
    value, low, high = (f"{scale * number:.{digits}f}" for number in (estimate.value, estimate.low, estimate.high))
    return f"{value}{unit}" if np.isnan(estimate.low) else f"{value}{unit} ({low}–{high})"
