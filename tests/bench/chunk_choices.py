"""The chunk policy's choices, measured: history, plan length, how much of a plan is carried out, ensembling, width.

Run, about ten minutes on two idle cores; the table goes to stdout, for policies/RESULTS.md:
    reachy-kit record --task track --variant hard --episodes 50 --out data/track_hard
    .venv/bin/python tests/bench/chunk_choices.py data/track_hard
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from reachy_kit.runtime.seeds import BENCH_SEEDS
from reachy_kit.workflows.inputs.sim_envs import make_envs
from reachy_policies.data.demonstrations import Demonstrations, load_demonstrations
from reachy_policies.imitation.behavior_cloning import ImitationConfig, fit
from reachy_policies.models.chunk import ReachyChunkConfig, ReachyChunkPolicy, make_reachy_chunk_pre_post_processors
from reachy_policies.models.lerobot.inference import LeRobotBatchPolicy
from reachy_policies.rollouts.episode_batch import run_episodes

WIDE = {"hidden": 256}
"""Twice the default: the differences between the other choices are clearer."""
SIZES = [
    *({"n_obs_steps": steps} for steps in (2, 4, 6)),
    *({"chunk_size": size} for size in (4, 16)),
    {"hidden": 128},
]
"""What a training is made for, beside ``WIDE``."""
WAYS = [*({"n_action_steps": steps} for steps in (1, 2, 4)), {"n_action_steps": 1, "temporal_ensemble_coeff": 0.01}]
"""How a trained policy is carried out."""


def evaluate(policy: ReachyChunkPolicy, way: dict[str, float], episodes: int) -> tuple[float, float]:
    """Success, and mean error in degrees."""
    policy.config = replace(policy.config, **{"temporal_ensemble_coeff": None, **way})
    envs = make_envs("track", episodes, variant="hard", tier="kinematic")
    processors = make_reachy_chunk_pre_post_processors(policy.config)
    batch = run_episodes(envs, LeRobotBatchPolicy(policy, processors, "track"), BENCH_SEEDS.start)
    envs.close()
    return float(batch.success.mean()), float(np.rad2deg(batch.mean_error.mean()))


def rows(demonstrations: Demonstrations, seeds: int, episodes: int) -> None:
    """Print the table as it grows."""
    print("| observations | plan | hidden | carried out | ensembling | success | error | training |")
    print("|---|---|---|---|---|---|---|---|")
    for size in SIZES:
        fits = []
        for seed in range(seeds):
            config = ReachyChunkConfig(**(WIDE | size))
            fits.append(fit(demonstrations, config, ImitationConfig(seed=seed)))
        seconds = np.mean([result.history[-1].seconds for result in fits])
        for way in WAYS:
            results = [evaluate(result.policy, way, episodes) for result in fits]
            success, error = np.mean(results, axis=0)
            spread = " ".join(f"{100 * one:.0f}" for one, _ in results)
            config = fits[0].policy.config
            print(
                f"| {config.n_obs_steps} | {config.chunk_size} | {config.hidden} | {way['n_action_steps']} | "
                f"{way.get('temporal_ensemble_coeff', '–')} | {100 * success:.0f} % ({spread}) | {error:.2f}° | "
                f"{seconds:.0f} s |",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--episodes", type=int, default=200)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows(load_demonstrations(given.dataset), given.seeds, given.episodes)
