"""Comparison of training groups on the same episodes: on the task they were trained on and on held-out variants.

Try it: reachy-kit eval A=runs/a B=runs/b --task track --variants held-out --episodes 200 --html compared.html
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv

from reachy_kit.runtime.interface import TaskError
from reachy_kit.runtime.seeds import evaluation_seeds
from reachy_policies.evaluation.groups import TrainingGroup
from reachy_policies.evaluation.matching import MatchedPairs, match_returns
from reachy_policies.evaluation.statistics.score_comparison import ScoreComparison, compare_scores, paired_trainings
from reachy_policies.evaluation.statistics.scores import Scores, join_variants
from reachy_policies.evaluation.statistics.training_seeds import MARGIN
from reachy_policies.rollouts.episode_batch import EpisodeBatch, run_episodes

type MakeEnvs = Callable[[str, int, int], VectorEnv[Any, Any, Any]]
"""Factory of environments without autoreset, from a variant, decisions per second and a number of environments."""
type Advance = Callable[[], None]

HELD_OUT = "held-out together"
"""Name of all held-out variants as a single endpoint: of one test per variant, some reject by chance."""
BATCH_EPISODES = 256


@dataclass(frozen=True)
class ComparisonConfig:
    """Episodes to run and the thresholds of the comparison."""

    error: TaskError
    """Name and unit of the task's error."""
    in_task: str = "training"
    """Variant that the groups were trained on."""
    held_out: tuple[str, ...] = ()
    """Variants that they were not trained on."""
    seeds: range = evaluation_seeds(0, 200)
    """Seeds of the episodes."""
    margin: float = MARGIN
    """Largest difference in success, share of episodes, that counts as ``kept``."""
    match: float = 0.02
    """Largest difference of in-task returns at which two trainings count as equally good."""

    @property
    def variants(self) -> tuple[str, ...]:
        """All variants, in the order in which they run."""
        return (self.in_task, *self.held_out)

    @property
    def episodes(self) -> int:
        """Number of episodes."""
        return len(self.seeds)


@dataclass(frozen=True)
class Comparison:
    """Scores of every group on every variant, and their differences from the first group."""

    config: ComparisonConfig
    groups: tuple[TrainingGroup, ...]
    scores: dict[str, dict[str, Scores]]
    """By variant, then by group; with several held-out variants also under ``HELD_OUT``."""
    references: dict[str, tuple[Scores, Scores]]
    """By variant: scores of the expert and of the oracle."""
    against_first: dict[str, dict[str, ScoreComparison | None]]
    """By variant, then by group without the first; None without a pair."""
    matched: dict[str, MatchedPairs]
    """By group, without the first."""

    def at_equal_return(self, variant: str, group: str) -> ScoreComparison | None:
        """Compare a group with the first over trainings of equal in-task return; None without a pair."""
        return self.matched[group].compare(variant, self.config.margin)


def count_evaluations(groups: Sequence[TrainingGroup], config: ComparisonConfig) -> int:
    """Number of times that ``compare_groups`` calls ``advance``."""
    return (sum(len(group.policies) for group in groups) + 2) * len(config.variants)


def compare_groups(
    groups: Sequence[TrainingGroup],
    references: tuple[TrainingGroup, TrainingGroup],
    config: ComparisonConfig,
    make_envs: MakeEnvs,
    advance: Advance = lambda: None,
) -> Comparison:
    """Run every training on every episode of every variant.

    Args:
        groups: groups to evaluate; the others are compared with the first.
        references: expert and oracle.
        config: variants, episodes and thresholds.
        make_envs: makes the simulator's environments.
        advance: called after each training on each variant.
    """
    first, others = groups[0], groups[1:]
    scores: dict[str, dict[str, Scores]] = {}
    bounds: dict[str, tuple[Scores, Scores]] = {}
    matched: dict[str, MatchedPairs] = {}
    for variant in config.variants:
        evaluator = _VariantEvaluator(variant, config, make_envs, references[0])
        try:
            bounds[variant] = evaluator.score(references[0], advance), evaluator.score(references[1], advance)
            scores[variant] = {group.name: evaluator.score(group, advance) for group in groups}
            if variant == config.in_task:
                matched = {
                    group.name: match_returns(first, group, scores[variant], evaluator.score, config.match)
                    for group in others
                }
            for pairs in matched.values():
                pairs.add_variant(variant, scores[variant], evaluator.score)
        finally:
            evaluator.close()
    if len(config.held_out) > 1:
        joined = {group.name: join_variants([scores[name][group.name] for name in config.held_out]) for group in groups}
        scores = {config.in_task: scores[config.in_task], HELD_OUT: joined, **scores}
        expert, oracle = (join_variants([bounds[name][side] for name in config.held_out]) for side in (0, 1))
        bounds[HELD_OUT] = expert, oracle
        for pairs in matched.values():
            pairs.join_variants(HELD_OUT, config.held_out)
    against_first = {
        variant: {group.name: _compare(row[first.name], row[group.name], config.margin) for group in others}
        for variant, row in scores.items()
    }
    return Comparison(config, tuple(groups), scores, bounds, against_first, matched)


def _compare(first: Scores, other: Scores, margin: float) -> ScoreComparison | None:
    return compare_scores(first, other, paired_trainings(first, other), margin)


class _VariantEvaluator:
    """Runs groups on one variant; environments are made once for each rate and number."""

    def __init__(self, variant: str, config: ComparisonConfig, make_envs: MakeEnvs, expert: TrainingGroup) -> None:
        self._variant, self._seeds, self._make_envs = variant, config.seeds, make_envs
        self._envs: dict[tuple[int, int], VectorEnv[Any, Any, Any]] = {}
        self._expert = expert

    def score(self, group: TrainingGroup, advance: Advance = lambda: None) -> Scores:
        """Score all trainings of a group."""
        batches = []
        for row in range(len(group.policies)):
            batches.append(self._expert_episodes if group is self._expert else self._run(group, row))
            advance()
        return Scores.from_episodes(group.trainings, batches, self._expert_episodes)

    @cached_property
    def _expert_episodes(self) -> EpisodeBatch:
        return self._run(self._expert, 0)

    def close(self) -> None:
        """Free the environments."""
        for envs in self._envs.values():
            envs.close()

    def _run(self, group: TrainingGroup, row: int) -> EpisodeBatch:
        parts = []
        for start in range(0, len(self._seeds), BATCH_EPISODES):
            block = self._seeds[start : start + BATCH_EPISODES]
            key = (group.hz, len(block))
            if key not in self._envs:
                self._envs[key] = self._make_envs(self._variant, *key)
            parts.append(run_episodes(self._envs[key], group.policies[row](block), block))
        names = ("success", "error", "reward", "commands")
        return replace(parts[0], **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})
