"""Arms side by side: the same episodes for all, on the task and on its held-out variants.

Try it: reachy-kit eval A=runs/a B=runs/b --task track --variants held-out --episodes 200 --html compared.html
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv

from reachy_policies.evaluation.groups import Arm
from reachy_policies.evaluation.matching import Matched, match
from reachy_policies.evaluation.statistics.pairing import Against, compare_scores, pairs
from reachy_policies.evaluation.statistics.scores import Scores, joined
from reachy_policies.evaluation.statistics.training_seeds import MARGIN
from reachy_policies.rollouts.episode_batch import Played, play

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
    arms: tuple[Arm, ...]
    scores: dict[str, dict[str, Scores]]
    """By variant, ``HELD_OUT`` among them where there are several, then by arm."""
    references: dict[str, tuple[Scores, Scores]]
    """By variant: expert and oracle."""
    against: dict[str, dict[str, Against | None]]
    """By variant, then by arm, the first left out; None without a pair."""
    matched: dict[str, Matched]
    """By arm, the first left out."""

    def at_equal_return(self, variant: str, arm: str) -> Against | None:
        """An arm against the first between trainings of equal in-task return; None without a pair."""
        return self.matched[arm].against(variant, self.config.margin)


def count_plays(arms: Sequence[Arm], config: CompareConfig) -> int:
    """How often ``compare_arms`` advances."""
    return (sum(len(arm.policies) for arm in arms) + 2) * len(config.variants)


def compare_arms(
    arms: Sequence[Arm],
    references: tuple[Arm, Arm],
    config: CompareConfig,
    make_envs: MakeEnvs,
    advance: Advance = lambda: None,
) -> Compared:
    """Play every episode with every training on every variant.

    Args:
        arms: the first is what the others are compared with.
        references: expert and oracle.
        config: what to play.
        make_envs: the simulator's.
        advance: called after each training on each variant.
    """
    first, others = arms[0], arms[1:]
    scores: dict[str, dict[str, Scores]] = {}
    bounds: dict[str, tuple[Scores, Scores]] = {}
    matched: dict[str, Matched] = {}
    for variant in config.variants:
        stage = _Stage(variant, config, make_envs, references[0])
        try:
            bounds[variant] = stage.judge(references[0], advance), stage.judge(references[1], advance)
            kept = {arm.name: stage.judge(arm, advance) for arm in arms}
            scores[variant] = kept
            if variant == config.in_task:
                matched = {arm.name: match(first, arm, kept, stage.judge, config.match) for arm in others}
            for one in matched.values():
                one.play(variant, kept, stage.judge)
        finally:
            stage.close()
    if len(config.held_out) > 1:
        scores = {config.in_task: scores[config.in_task], HELD_OUT: {}, **scores}
        scores[HELD_OUT] = {arm.name: joined([scores[one][arm.name] for one in config.held_out]) for arm in arms}
        expert, oracle = (joined([bounds[one][side] for one in config.held_out]) for side in (0, 1))
        bounds[HELD_OUT] = expert, oracle
        for one in matched.values():
            one.join(HELD_OUT, config.held_out)
    against = {variant: _against(row, first, others, config.margin) for variant, row in scores.items()}
    return Compared(config, tuple(arms), scores, bounds, against, matched)


def _against(row: dict[str, Scores], first: Arm, others: Sequence[Arm], margin: float) -> dict[str, Against | None]:
    base = row[first.name]
    return {arm.name: compare_scores(base, row[arm.name], pairs(base, row[arm.name]), margin) for arm in others}


class _Stage:
    """Plays arms on one variant; environments are made once for each rate and size."""

    def __init__(self, variant: str, config: CompareConfig, make_envs: MakeEnvs, expert: Arm) -> None:
        self._variant, self._seeds, self._make = variant, config.seeds, make_envs
        self._envs: dict[tuple[int, int], VectorEnv[Any, Any, Any]] = {}
        self._expert = expert

    def judge(self, arm: Arm, advance: Advance = lambda: None) -> Scores:
        """All trainings of an arm."""
        played = []
        for row in range(len(arm.policies)):
            played.append(self._shown if arm is self._expert else self._play(arm, row))
            advance()
        return Scores.of(arm.trainings, played, self._shown)

    @cached_property
    def _shown(self) -> Played:
        """What the expert does."""
        return self._play(self._expert, 0)

    def close(self) -> None:
        """Free the environments."""
        for envs in self._envs.values():
            envs.close()

    def _play(self, arm: Arm, row: int) -> Played:
        parts = []
        for start in range(0, len(self._seeds), AT_ONCE):
            block = self._seeds[start : start + AT_ONCE]
            key = (arm.hz, len(block))
            if key not in self._envs:
                self._envs[key] = self._make(self._variant, *key)
            parts.append(play(self._envs[key], arm.policies[row](block), block))
        names = ("success", "error", "reward", "commands")
        return replace(parts[0], **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})
