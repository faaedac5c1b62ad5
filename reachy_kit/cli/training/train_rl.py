"""``reachy-kit train rl``: reinforcement learning in the simulator."""

from pathlib import Path
from typing import Annotated, Any

import typer

from reachy_kit.cli import show
from reachy_kit.cli.options import (
    ConfigOption,
    JsonOption,
    SeedsOption,
    SetOption,
    TaskOption,
    expand_home,
    path_option,
    read_settings,
)
from reachy_kit.cli.training.train_imitation import evaluation_options, show_seeds
from reachy_kit.runtime.shell_command import compose_command


def rl(
    out: Annotated[Path, path_option("--out", help="Folder of the run; the same command again resumes it.")],
    task: TaskOption,
    init: Annotated[
        Path | None, path_option("--init", help="Imitation run to start from; not needed for --method scratch.")
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            help="ppo: PPO, starting from the imitation. scratch: PPO without one. bc-continue: imitate the "
            "expert further. filtered-bc: imitate its own successes. residual: keep the imitation, and correct its "
            "actions.",
        ),
    ] = "ppo",
    variant: Annotated[
        str,
        typer.Option(
            "--variant",
            metavar="NAME[,NAME…]",
            help="The task's variant to learn in. Several are a curriculum, with as many iterations in each; "
            "evaluations are made in the last one.",
        ),
    ] = "training",
    tier: Annotated[
        str, typer.Option("--tier", help="kinematic: fast. physics: MuJoCo. both: kinematic first, physics to finish.")
    ] = "kinematic",
    reward: Annotated[str, typer.Option("--reward", help="dense, or sparse: only success counts.")] = "dense",
    randomization: Annotated[
        str,
        typer.Option(
            "--randomization",
            parser=expand_home,
            metavar="off|mild|wide|FILE.json",
            help="off, mild, wide, or a JSON file of reachy-kit sysid.",
        ),
    ] = "off",
    obs_type: Annotated[
        str,
        typer.Option(
            "--obs-type",
            help="For --method scratch: state (perception's features) or pixels. With --init, the kind of that run.",
        ),
    ] = "",
    kl: Annotated[
        float | None, typer.Option("--kl", help="Weight of the KL divergence from the start; 0 if not given.")
    ] = None,
    iterations: Annotated[
        int | None, typer.Option("--iterations", min=1, help="Iterations of collecting episodes and learning.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of episodes, exploration and updates.")] = 0,
    seeds: SeedsOption = 0,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh", help="Start over: discard an unfinished training in --out, and replace a finished run."
        ),
    ] = False,
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
    from reachy_policies.runs.run_files import CURVE_PNG

    given = read_settings(config, settings)
    given |= {name: value for name, value in (("kl", kl), ("iterations", iterations)) if value is not None}
    arguments: dict[str, Any] = {
        "task": task, "init": init, "method": method, "variant": variant, "tier": tier, "reward": reward,
        "randomization": randomization, "obs_type": obs_type, "fresh": fresh, "settings": given,
    }  # fmt: skip
    evaluated = evaluation_options(task, variant.split(",")[-1])
    if seeds:
        train_seeds("rl", out, seeds, arguments, reporter=show.TERMINAL)
        show_seeds(out, seeds, evaluated, json=json)
        return
    run = train_rl(out, seed=seed, reporter=show.TERMINAL, **arguments)
    card = run.card
    if json:
        show.print_json({"run": str(run.path), "total_seconds": card.total_seconds, **card.provenance()})
        return
    show.result(
        f"kept iteration {card.steps}: success {100 * card.result['success']:.0f} %, {card.error_heading} "
        f"{card.result['error']:.1f} on the episodes that chose it; {card.seconds:.0f} s of training"
    )
    show.result(f"run in {out} (curve: {out / CURVE_PNG}). Next: {compose_command('eval', out, 'expert', **evaluated)}")
