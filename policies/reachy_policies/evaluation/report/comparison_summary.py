"""Summary of a comparison as JSON, for scripts."""

from typing import Any

import numpy as np

from reachy_policies.evaluation.comparison import Comparison
from reachy_policies.evaluation.statistics.score_comparison import ScoreComparison
from reachy_policies.evaluation.statistics.scores import Scores


def summarise_comparison(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as JSON, with the numbers of every training.

    Errors are in the unit that people read; everything else is a share, in degrees or in SI units.
    """
    config = comparison.config
    return {
        "in_task": config.in_task,
        "held_out": list(config.held_out),
        "episodes": config.episodes,
        "seeds": list(config.seeds),
        "margin": config.margin,
        "match": config.match,
        "error": {"name": config.error.name, "unit": config.error.unit},
        "groups": [group.summary() for group in comparison.groups],
        "variants": [_variant(comparison, variant) for variant in comparison.scores],
    }


def _variant(comparison: Comparison, variant: str) -> dict[str, Any]:
    references, scale = comparison.references[variant], comparison.config.error.scale
    return {
        "name": variant,
        "references": {
            name: _scores(scores, references, scale)
            for name, scores in zip(("expert", "oracle"), references, strict=True)
        },
        "policies": [
            {"name": name, **_scores(scores, references, scale)} for name, scores in comparison.scores[variant].items()
        ],
        "compared_with_first": [
            {"name": name, **_difference(compared)} for name, compared in comparison.against_first[variant].items()
        ],
        "at_equal_return": [
            {
                "name": name,
                "stand_ins": matched.stand_ins,
                **_difference(comparison.at_equal_return(variant, name)),
            }
            for name, matched in comparison.matched.items()
        ],
    }


def _scores(scores: Scores, references: tuple[Scores, Scores], scale: float) -> dict[str, Any]:
    error = {name: scale * value for name, value in vars(scores.iqm_error).items()}
    gaps = scores.gap_closed(*references)
    means = {
        "return": scores.reward,
        "jerk": scores.jerk,
        "action_rate": scores.action_rate,
        "demo_distance_deg": np.rad2deg(scores.demo_distance),
    }
    return {
        "success": vars(scores.success_rate),
        "iqm_error": error,
        "mean_error": scale * float(scores.error.mean()),
        "gap_closed": float(gaps.mean()),
        **{name: float(values.mean()) for name, values in means.items()},
        "per_seed": [
            {
                "seed": seed,
                "success": float(scores.rates[row]),
                "mean_error": scale * float(scores.error[row].mean()),
                "gap_closed": float(gaps[row]),
                **{name: float(values[row].mean()) for name, values in means.items()},
                "successes": scores.success[row].tolist(),
            }
            for row, seed in enumerate(scores.trainings)
        ],
    }


def _difference(compared: ScoreComparison | None) -> dict[str, Any]:
    if compared is None:
        return {
            "pairs": 0,
            "scope": None,
            "seeds": [],
            "differences": [],
            "difference": None,
            "p_value": None,
            "verdict": "can't tell",
        }
    return {
        "pairs": len(compared.differences),
        "scope": compared.scope,
        "seeds": list(compared.trainings),
        "differences": compared.differences.tolist(),
        "difference": vars(compared.difference),
        "p_value": compared.p_value,
        "verdict": compared.verdict,
    }
