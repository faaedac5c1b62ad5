"""``reachy-kit train rl``: reinforcement learning in the simulator."""

from typing import Any

from reachy_kit.cli import show
from reachy_kit.cli.options import ConfigOption, JsonOption, SeedsOption, SetOption, TaskOption, read_settings
from reachy_kit.cli.reporting.training_output import evaluation_options, show_reinforcement, show_seeds
from reachy_kit.cli.training.training_options import (
    CurriculumOption,
    ExplorationSeedOption,
    FreshRunOption,
    InitOption,
    IterationsOption,
    KlOption,
    MethodOption,
    RandomizationOption,
    ReinforcementOutOption,
    RewardOption,
    ScratchObservedOption,
    TierOption,
)


def rl(
    out: ReinforcementOutOption,
    task: TaskOption,
    init: InitOption = None,
    method: MethodOption = "ppo",
    variant: CurriculumOption = "training",
    tier: TierOption = "kinematic",
    reward: RewardOption = "dense",
    randomization: RandomizationOption = "off",
    obs_type: ScratchObservedOption = "",
    kl: KlOption = None,
    iterations: IterationsOption = None,
    seed: ExplorationSeedOption = 0,
    seeds: SeedsOption = 0,
    fresh: FreshRunOption = False,
    config: ConfigOption = None,
    settings: SetOption = [],  # noqa: B006  (typer copies it)
    json: JsonOption = False,
) -> None:
    """Improve a policy by reinforcement learning in the simulator: chunked PPO from an imitation, or another method.

    After Ctrl-C or a crash the same command resumes from the last checkpoint.

    Example: reachy-kit train rl --init runs/track --task track --out runs/track_rl
    """
    from reachy_kit.workflows.training.sweep import train_seeds
    from reachy_kit.workflows.training.train_rl import train_rl

    given = read_settings(config, settings)
    given |= {name: value for name, value in (("kl", kl), ("iterations", iterations)) if value is not None}
    arguments: dict[str, Any] = {
        "task": task, "init": init, "method": method, "variant": variant, "tier": tier, "reward": reward,
        "randomization": randomization, "obs_type": obs_type, "fresh": fresh, "settings": given,
    }  # fmt: skip
    evaluated = evaluation_options(task, variant.split(",")[-1])
    if seeds:
        train_seeds("rl", out, seeds, arguments, reporter=show.TERMINAL)
        show_seeds(out, seeds, lambda: evaluated, json=json)
        return
    run = train_rl(out, seed=seed, reporter=show.TERMINAL, **arguments)
    show_reinforcement(run, out, evaluated, json=json)
