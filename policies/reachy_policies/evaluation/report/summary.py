"""A comparison of arms in numbers for scripts and in words for tables."""

from typing import Any

import numpy as np

from reachy_policies.evaluation.compare import HELD_OUT, Compared
from reachy_policies.evaluation.report.cells import points
from reachy_policies.evaluation.statistics.intervals import Rate
from reachy_policies.evaluation.statistics.pairing import Against
from reachy_policies.evaluation.statistics.scores import Scores

SCORE_COLUMNS = ("variant", "policy", "success, 95 %", "IQM error, 95 %", "gap closed", "jerk", "effort", "style")
AGAINST_COLUMNS = ("variant", "policy", "points, 95 %", "pairs", "p", "verdict")
FEW_EPISODES = 100


def summarise(compared: Compared) -> dict[str, Any]:
    """Everything, in shares, degrees and SI units; a row a training."""
    config = compared.config
    return {
        "in_task": config.in_task,
        "held_out": list(config.held_out),
        "episodes": config.episodes,
        "seeds": list(config.seeds),
        "margin": config.margin,
        "match": config.match,
        "arms": [group.summary() for group in compared.groups],
        "variants": [
            {
                "name": variant,
                "references": {
                    name: _scores(one, compared.references[variant])
                    for name, one in zip(("expert", "oracle"), compared.references[variant], strict=True)
                },
                "policies": [{"name": name, **_scores(one, compared.references[variant])} for name, one in row.items()],
                "against_first": [{"name": name, **_against(one)} for name, one in compared.against[variant].items()],
                "at_equal_return": [
                    {"name": name, "stand_ins": one.stand_ins, **_against(compared.at_equal_return(variant, name))}
                    for name, one in compared.matched.items()
                ],
            }
            for variant, row in compared.scores.items()
        ],
    }


def score_rows(compared: Compared) -> list[tuple[str, list[str]]]:
    """Rows of ``SCORE_COLUMNS`` without the first, with the variant that they belong to."""
    rows = []
    for variant, row in compared.scores.items():
        expert, oracle = compared.references[variant]
        for name, one in row.items():
            gap, style = float(one.gap_closed(expert, oracle).mean()), float(np.rad2deg(one.style.mean()))
            rows.append(
                (
                    variant,
                    [
                        name,
                        _interval(one.success_rate, 100, 0, " %"),
                        _interval(one.iqm_error, 180 / np.pi, 1, "°"),
                        "—" if np.isnan(gap) else f"{gap:.2f}",
                        f"{one.jerk.mean():.0f}",
                        f"{one.effort.mean():.2f}",
                        "—" if np.isnan(style) else f"{style:.1f}°",
                    ],
                )
            )
    return rows


def against_rows(compared: Compared, *, equal_return: bool = False) -> list[tuple[str, list[str]]]:
    """Rows of ``AGAINST_COLUMNS`` without the first, with the variant that they belong to.

    Args:
        compared: arms.
        equal_return: only trainings that do the task equally well.
    """
    rows = []
    for variant, row in compared.against.items():
        for name, whole in row.items():
            one = compared.at_equal_return(variant, name) if equal_return else whole
            if one is None:
                rows.append((variant, [name, "—", "0", "—", "no matched pairs" if equal_return else "no common seeds"]))
                continue
            difference = one.difference
            rows.append(
                (
                    variant,
                    [
                        name,
                        f"{points(difference.value)} ({points(difference.low)} to {points(difference.high)})",
                        str(len(one.differences)),
                        "—" if one.p_value is None else f"{one.p_value:.3f}",
                        {"trainings": "", "one training": "one training: ", "no training": "these policies only"}[
                            one.scope
                        ]
                        + (one.verdict or ""),
                    ],
                )
            )
    return rows


def remarks(compared: Compared) -> list[str]:
    """What whoever reads the tables should know about these numbers."""
    config, first = compared.config, compared.groups[0].name
    said = []
    scopes = {one.scope for row in compared.against.values() for one in row.values() if one}
    if "one training" in scopes:
        said.append("One training each: the interval speaks of these very policies, not of the way they were trained.")
    if "trainings" in scopes:
        said.append(
            "No p below 6 pairs of training seeds and no claim below 10; “kept” means that the whole interval lies "
            f"within {100 * config.margin:g} points."
        )
    if len(config.held_out) > 1 and len(compared.groups) > 1:
        said.append(
            f"“{HELD_OUT}” is the comparison to decide by: of many tests, one for each variant, some reject by chance."
        )
    if config.episodes < FEW_EPISODES:
        said.append(f"{config.episodes} episodes are few: a claim needs {FEW_EPISODES} or more.")
    other = sorted({run.card.variant for group in compared.groups for run in group.runs} - {"", config.in_task})
    if other:
        said.append(f"Some were trained on the variant {', '.join(other)}: --variant judges in-task return by it.")
    for name, one in compared.matched.items():
        if one.together and any(group.trained for group in one.groups):
            stand_ins = f" ({'; '.join(one.stand_ins)})" if one.stand_ins else ""
            said.append(
                f"{name} and {first}: {len(one.together)} pairs of in-task returns within {config.match:g}{stand_ins}."
            )
    return said


def _scores(one: Scores, references: tuple[Scores, Scores]) -> dict[str, Any]:
    error = {name: float(np.rad2deg(value)) for name, value in vars(one.iqm_error).items()}
    gaps = one.gap_closed(*references)
    means = {"return": one.reward, "jerk": one.jerk, "effort": one.effort, "style_deg": np.rad2deg(one.style)}
    return {
        "success": vars(one.success_rate),
        "iqm_error_deg": error,
        "mean_error_deg": float(np.rad2deg(one.error.mean())),
        "gap_closed": float(gaps.mean()),
        **{name: float(values.mean()) for name, values in means.items()},
        "per_seed": [
            {
                "seed": seed,
                "success": float(one.rates[row]),
                "mean_error_deg": float(np.rad2deg(one.error[row].mean())),
                "gap_closed": float(gaps[row]),
                **{name: float(values[row].mean()) for name, values in means.items()},
                "successes": one.success[row].tolist(),
            }
            for row, seed in enumerate(one.trainings)
        ],
    }


def _against(one: Against | None) -> dict[str, Any]:
    if one is None:
        return {"pairs": 0, "scope": None, "seeds": [], "differences": [], "difference": None, "p_value": None,
                "verdict": "can't tell"}  # fmt: skip
    return {
        "pairs": len(one.differences),
        "scope": one.scope,
        "seeds": list(one.trainings),
        "differences": one.differences.tolist(),
        "difference": vars(one.difference),
        "p_value": one.p_value,
        "verdict": one.verdict,
    }


def _interval(rate: Rate, scale: float, digits: int, unit: str) -> str:
    value, low, high = (f"{scale * number:.{digits}f}" for number in (rate.value, rate.low, rate.high))
    return f"{value}{unit}" if np.isnan(rate.low) else f"{value}{unit} ({low}–{high})"
