"""Arms side by side: the same episodes for all, on the task and on its held-out variants.

Try it: reachy-kit eval A=runs/a B=runs/b --task track --variants held-out --episodes 200 --html compared.html
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv

from reachy_policies.evaluation.groups import TrainingGroup
from reachy_policies.evaluation.matching import Matched, match
from reachy_policies.evaluation.statistics.pairing import Against, compare_scores, pairs
from reachy_policies.evaluation.statistics.scores import Scores, joined
from reachy_policies.evaluation.statistics.training_seeds import MARGIN
from reachy_policies.rollouts.episode_batch import EpisodeBatch, play

type MakeEnvs = Callable[[str, int, int], VectorEnv[Any, Any, Any]]
"""Environments of a variant, at so many decisions a second, so many of them; without autoreset."""
type Advance = Callable[[], None]

HELD_OUT = "held-out together"
"""Name of all held-out variants as one, a single endpoint: of a test for each variant some reject by chance."""
AT_ONCE = 256
"""Episodes in a batch."""


@dataclass(frozen=True)
class CompareConfig:
    """What is played, and what counts."""

    in_task: str = "training"
    """Variant that the arms were trained on."""
    held_out: tuple[str, ...] = ()
    episodes: int = 200
    first_seed: int = 0
    margin: float = MARGIN
    """Share of episodes that does not matter: ``kept``."""
    match: float = 0.02
    """Difference of in-task returns up to which a pair of trainings does the task equally well."""

    @property
    def variants(self) -> tuple[str, ...]:
        """In the order in which they are played."""
        return (self.in_task, *self.held_out)

    @property
    def seeds(self) -> range:
        """Of the episodes."""
        return range(self.first_seed, self.first_seed + self.episodes)


@dataclass(frozen=True)
class Compared:
    """What arms did, and how they compare."""

    config: CompareConfig
    groups: tuple[TrainingGroup, ...]
    scores: dict[str, dict[str, Scores]]
    """By variant, ``HELD_OUT`` among them where there are several, then by arm."""
    references: dict[str, tuple[Scores, Scores]]
    """By variant: expert and oracle."""
    against: dict[str, dict[str, Against | None]]
    """By variant, then by arm, the first left out; None without a pair."""
    matched: dict[str, Matched]
    """By arm, the first left out."""

    def at_equal_return(self, variant: str, group: str) -> Against | None:
        """An arm against the first between trainings of equal in-task return; None without a pair."""
        return self.matched[group].against(variant, self.config.margin)


def count_plays(groups: Sequence[TrainingGroup], config: CompareConfig) -> int:
    """How often ``compare_groups`` advances."""
    return (sum(len(group.policies) for group in groups) + 2) * len(config.variants)


def compare_groups(
    groups: Sequence[TrainingGroup],
    references: tuple[TrainingGroup, TrainingGroup],
    config: CompareConfig,
    make_envs: MakeEnvs,
    advance: Advance = lambda: None,
) -> Compared:
    """Play every episode with every training on every variant.

    Args:
        groups: the first is what the others are compared with.
        references: expert and oracle.
        config: what to play.
        make_envs: the simulator's.
        advance: called after each training on each variant.
    """
    first, others = groups[0], groups[1:]
    scores: dict[str, dict[str, Scores]] = {}
    bounds: dict[str, tuple[Scores, Scores]] = {}
    matched: dict[str, Matched] = {}
    for variant in config.variants:
        stage = _Stage(variant, config, make_envs, references[0])
        try:
            bounds[variant] = stage.judge(references[0], advance), stage.judge(references[1], advance)
            kept = {group.name: stage.judge(group, advance) for group in groups}
            scores[variant] = kept
            if variant == config.in_task:
                matched = {group.name: match(first, group, kept, stage.judge, config.match) for group in others}
            for one in matched.values():
                one.play(variant, kept, stage.judge)
        finally:
            stage.close()
    if len(config.held_out) > 1:
        scores = {config.in_task: scores[config.in_task], HELD_OUT: {}, **scores}
        scores[HELD_OUT] = {
            group.name: joined([scores[one][group.name] for one in config.held_out]) for group in groups
        }
        expert, oracle = (joined([bounds[one][side] for one in config.held_out]) for side in (0, 1))
        bounds[HELD_OUT] = expert, oracle
        for one in matched.values():
            one.join(HELD_OUT, config.held_out)
    against = {variant: _against(row, first, others, config.margin) for variant, row in scores.items()}
    return Compared(config, tuple(groups), scores, bounds, against, matched)


def _against(
    row: dict[str, Scores], first: TrainingGroup, others: Sequence[TrainingGroup], margin: float
) -> dict[str, Against | None]:
    base = row[first.name]
    return {group.name: compare_scores(base, row[group.name], pairs(base, row[group.name]), margin) for group in others}


class _Stage:
    """Plays arms on one variant; environments are made once for each rate and size."""

    def __init__(self, variant: str, config: CompareConfig, make_envs: MakeEnvs, expert: TrainingGroup) -> None:
        self._variant, self._seeds, self._make = variant, config.seeds, make_envs
        self._envs: dict[tuple[int, int], VectorEnv[Any, Any, Any]] = {}
        self._expert = expert

    def judge(self, group: TrainingGroup, advance: Advance = lambda: None) -> Scores:
        """All trainings of an arm."""
        played = []
        for row in range(len(group.policies)):
            played.append(self._shown if group is self._expert else self._play(group, row))
            advance()
        return Scores.of(group.trainings, played, self._shown)

    @cached_property
    def _shown(self) -> EpisodeBatch:
        """What the expert does."""
        return self._play(self._expert, 0)

    def close(self) -> None:
        """Free the environments."""
        for envs in self._envs.values():
            envs.close()

    def _play(self, group: TrainingGroup, row: int) -> EpisodeBatch:
        parts = []
        for start in range(0, len(self._seeds), AT_ONCE):
            block = self._seeds[start : start + AT_ONCE]
            key = (group.hz, len(block))
            if key not in self._envs:
                self._envs[key] = self._make(self._variant, *key)
            parts.append(play(self._envs[key], group.policies[row](block), block))
        names = ("success", "error", "reward", "commands")
        return replace(parts[0], **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})
