"""Benchmarks of learning: imitation to its plateau, imitation and reinforcement learning to the goal, throughput.

Each training is `reachy-kit train …` without the interpreter's start; wall times include the imitation. The table of
methods with its ten seeds has a page of its own: policies/RESULTS.md.
"""

import csv
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

SEEDS = 5
EXPERT_EPISODES = 50
RATIO = 0.7
"""Of the expert's error, that the learner shall reach."""


def demonstrations(task: str, variant: str, episodes: int = EXPERT_EPISODES) -> Path:
    """A dataset of the scripted expert, recorded once."""
    from reachy_kit.workflows.inputs.session import open_session
    from reachy_kit.workflows.record import record_episodes
    from reachy_sim.tasks import variant_by_name

    root = Path("runs/bench_data") / f"{task}_{variant}_{episodes}"
    chosen = variant_by_name(task, variant)
    with open_session("sim", chosen, camera=False) as session:
        record_episodes(session, chosen, root, episodes=episodes, hz=25, seed=0, camera=False)
    return root


def imitation_plateau() -> tuple[str, float, str, float]:
    """The chunk policy on 50 episodes of look_at, until early stop; limit 30 s."""
    from reachy_kit.workflows.training.train_imitation import train_imitation

    dataset = demonstrations("look_at", "training")
    with tempfile.TemporaryDirectory() as folder:
        run = train_imitation(dataset, Path(folder) / "run", seed=0, settings={})
    return "imitation of 50 look_at episodes, to its plateau", run.card.seconds, "a limit of", 30.0


def expert_error(task: str, variant: str, count: int = 200) -> float:
    """rad, the scripted expert's mean error on evaluation episodes, kinematic tier."""
    from reachy_kit.workflows.inputs.sim_envs import BatchExpert, make_envs
    from reachy_policies.rollouts.episode_batch import run_episodes

    envs = make_envs(task, count, tier="kinematic", variant=variant)
    batch = run_episodes(envs, BatchExpert(task, 25, range(count)), 0)
    envs.close()
    return float(batch.mean_error.mean())


def to_the_goal() -> tuple[str, float, str, float]:
    """Hard track: seconds of training until >= 95 % success at <= 0.7 of the expert's error.

    Median of five seeds, as training measured it every five iterations on held-out episodes; limit 60 s.
    """
    from reachy_kit.workflows.training.train_imitation import train_imitation
    from reachy_kit.workflows.training.train_rl import train_rl

    dataset, goal = demonstrations("track", "hard"), RATIO * expert_error("track", "hard")
    reached = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(SEEDS):
            imitation = train_imitation(dataset, Path(folder) / f"i{seed}", seed=seed, settings={})
            out = Path(folder) / f"r{seed}"
            run = train_rl(out, task="track", init=imitation.path, variant="hard", seed=seed, settings={})
            reached.append(imitation.card.seconds + seconds_to(run.path / "curve.csv", goal))
    return (
        "hard track: imitation + RL to 95 % at 0.7 × the expert's error",
        statistics.median(reached),
        "a limit of",
        60.0,
    )


def seconds_to(curve: Path, error: float, success: float = 0.95) -> float:
    """s of training at the first evaluation that met both; infinite if none did."""
    for row in csv.DictReader(curve.open()):
        if float(row["success"]) >= success and float(row["error"]) <= error:
            return float(row["seconds"])
    return float("inf")


def throughput() -> tuple[str, float, str, float]:
    """A decision: 1,024 environments, chunks of 5, 3 epochs, batches of 5,120, two threads; limit 50,000 per second."""
    settings = {"num_envs": 1024, "epochs": 3, "batch_size": 5120, "threads": 2}
    return "a decision, collected and learned from", seconds_a_decision(settings), "a limit of", 1 / 50_000


def throughput_of_defaults() -> tuple[str, float, str, float]:
    """The same as `reachy-kit train rl` does it: 256 environments, 5 epochs, batches of 1,280, one thread."""
    return "the same with the defaults", seconds_a_decision({}), "a limit of", 1 / 50_000


def seconds_a_decision(settings: dict[str, int]) -> float:
    """s of collecting and updating for a decision of one environment, median of five iterations."""
    from reachy_kit.workflows.inputs.sim_envs import make_envs
    from reachy_policies.reinforcement.curriculum import Curriculum
    from reachy_policies.reinforcement.initialization import make_untrained
    from reachy_policies.reinforcement.ppo.ppo_learner import PPOLearner
    from reachy_policies.reinforcement.reinforce_config import ReinforceConfig, explored_axes

    config = ReinforceConfig(**settings, warmup=0, kl_stop=1e9)  # type: ignore[arg-type]
    envs = make_envs("track", config.num_envs, tier="kinematic", variant="hard")
    start = make_untrained(envs, config.chunk, config.n_obs_steps, config.hidden, 0)
    torch.set_num_threads(config.threads)
    learner = PPOLearner(start, Curriculum(envs), explored_axes(config, "track"), config)
    learner.train_iteration(1)
    seconds, before = [], learner.env_steps
    for iteration in range(2, 7):
        began = time.perf_counter()
        learner.train_iteration(iteration)
        seconds.append(time.perf_counter() - began)
    each = (learner.env_steps - before) / len(seconds)
    envs.close()
    return float(np.median(seconds)) / each
