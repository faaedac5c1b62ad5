"""``reachy-kit train rl``: let a policy explore in the simulator."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reachy_kit.cli import show
from reachy_kit.cli.robots import TaskOption
from reachy_kit.cli.seeds import SeedsOption, one_process_a_seed
from reachy_kit.cli.settings import ConfigOption, SetOption, read_settings, refuse_rest, take
from reachy_kit.runtime.errors import WrongUseError

if TYPE_CHECKING:
    from reachy_policies.reinforcement.reinforce import SimFactory
    from reachy_policies.reinforcement.training import EvalPoint
    from reachy_policies.runs.run import Run


def rl(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", help="Folder of the run; the same command again goes on with it.")],
    task: TaskOption,
    init: Annotated[
        Path | None, typer.Option("--init", help="Imitation run to start from; not needed for --method scratch.")
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            help="ppo: explore from the imitation. scratch: explore without one. bc-continue: imitate the teacher "
            "further. filtered-bc: imitate its own successes. residual: leave it as it is, and correct its actions.",
        ),
    ] = "ppo",
    variant: Annotated[
        str,
        typer.Option(
            "--variant",
            metavar="NAME[,NAME…]",
            help="The task's variant to learn in. Several are a curriculum, with as many rounds in each; the last one "
            "judges.",
        ),
    ] = "training",
    tier: Annotated[
        str, typer.Option("--tier", help="kinematic: fast. physics: MuJoCo. both: kinematic first, physics to finish.")
    ] = "kinematic",
    reward: Annotated[str, typer.Option("--reward", help="dense, or sparse: the success alone.")] = "dense",
    randomization: Annotated[
        str, typer.Option("--randomization", help="off, mild, wide, or a JSON of reachy-kit sysid.")
    ] = "off",
    obs_type: Annotated[
        str,
        typer.Option(
            "--obs-type",
            help="For --method scratch: state (perception's features) or pixels. With --init, what that run looks at.",
        ),
    ] = "",
    kl: Annotated[float | None, typer.Option("--kl", help="Weight of the KL to the start; 0 if not given.")] = None,
    iterations: Annotated[int | None, typer.Option("--iterations", min=1, help="Rounds of episodes.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of episodes, exploration and updates.")] = 0,
    seeds: SeedsOption = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew, whatever --out holds of this kind.")] = False,
    config: ConfigOption = None,
    settings: SetOption = [],  # noqa: B006  (typer copies it)
    json: show.JsonOption = False,
) -> None:
    """Improve a policy by exploring in the simulator: chunked PPO from an imitation, or what it is compared with.

    After Ctrl-C or a crash the same command goes on from its last checkpoint.

    Example: reachy-kit train rl --init runs/track --task track --out runs/track_rl
    """
    if seeds:
        one_process_a_seed(context, out, seeds, init=init)
        return
    given = read_settings(config, settings)
    given |= {name: value for name, value in (("kl", kl), ("iterations", iterations)) if value is not None}
    run = train_rl(
        out, task=task, init=init, method=method, variant=variant, tier=tier, reward=reward,
        randomization=randomization, obs_type=obs_type, seed=seed, fresh=fresh, settings=given,
    )  # fmt: skip
    card = run.card
    if json:
        show.print_json({"run": str(run.path), "total_seconds": card.total_seconds, **card.provenance()})
        return
    show.result(
        f"kept round {card.steps}: success {100 * card.result['success']:.0f} %, {card.error_heading} "
        f"{card.result['error']:.1f} on the episodes that chose it; {card.seconds:.0f} s of training"
    )
    show.result(f"run in {out} (curve: {out / 'curve.png'}). Next: reachy-kit eval {out} expert --task {card.task}")


def train_rl(
    out: Path,
    *,
    task: str,
    init: Path | None,
    method: str = "ppo",
    variant: str = "training",
    tier: str = "kinematic",
    reward: str = "dense",
    randomization: str = "off",
    obs_type: str = "",
    seed: int = 0,
    fresh: bool = False,
    settings: dict[str, Any],
) -> "Run":
    """Learn and save."""
    from reachy_kit.runtime.interface import CONTROL_HZ
    from reachy_kit.runtime.perception.target import TARGET_FEATURES
    from reachy_sim.tasks import variant_by_name

    chosen = [variant_by_name(task, name) for name in variant.split(",")][-1]
    task = chosen.task.name
    if (init is None) != (method == "scratch"):
        raise WrongUseError(
            "--method scratch starts from nothing; leave out --init"
            if method == "scratch"
            else f"--method {method} starts from an imitation: give its run with --init"
        )
    if init is not None and not (init / "card.json").is_file():
        raise WrongUseError(f"{init} is no run. Train one: reachy-kit train imitation --out {init}")
    looks_at = _obs_type(obs_type, init)
    if looks_at == "pixels" and chosen.task.features != TARGET_FEATURES:
        raise WrongUseError(f"the head camera does not show what {task} is about: learn it with --obs-type state")
    with show.working("loading torch and LeRobot"):
        from reachy_policies.data.image_tensors import SMALL
        from reachy_policies.reinforcement import reinforce as methods
        from reachy_policies.reinforcement.reinforce_config import PIXEL_DEFAULTS
        from reachy_policies.runs.run import open_run
    if method not in methods.METHODS:
        raise WrongUseError(f"--method {method} does not exist; there are {', '.join(methods.METHODS)}")
    kind = methods.settings_of(method)
    if looks_at == "pixels":
        settings = {**PIXEL_DEFAULTS, **settings}
    config = take(settings, kind, seed=seed)
    refuse_rest(settings, kind)
    hz = open_run(init).card.policy_hz if init else 25
    assignment = methods.ReinforceSpec(
        task, variant, tier, reward, randomization, method, init, hz, CONTROL_HZ, chosen.task.features, looks_at
    )
    if fresh:
        methods.discard(out)
    if methods.finished(out, assignment, config):
        show.note(f"{out} holds this very run already; --fresh does it again")
        return open_run(out)
    judged: dict[str, Any] = {
        "tier": "physics" if tier == "both" else tier,
        "variant": chosen.name,
        "reward": reward,
        "policy_hz": hz,
    }
    if looks_at == "pixels":
        judged |= {"obs_type": "pixels_state", "image_size": SMALL[-1]}
    if (out / methods.TRAINING / "last.safetensors").is_file():
        show.note(f"{out} holds an unfinished run; going on from its last checkpoint")

    with show.progress(method, total=config.iterations) as advance:
        done = 0

        def on_round(iteration: int, look: "EvalPoint | None") -> None:
            nonlocal done
            while done < iteration:
                advance()
                done += 1

        return methods.reinforce(out, assignment, config, _simulated(task, judged, randomization), on_round)


def _obs_type(wanted: str, init: Path | None) -> str:
    """What is looked at: what the start looks at, or for one from nothing what was wanted.

    Raises:
        WrongUseError: there is no such kind, or the start looks at something else.
    """
    from reachy_kit.cli.policies import looks_at_pictures

    if wanted not in ("", "state", "pixels"):
        raise WrongUseError(f"--obs-type {wanted} does not exist; there are state and pixels")
    if init is None:
        return wanted or "state"
    starts = "pixels" if looks_at_pictures(str(init)) else "state"
    if wanted not in ("", starts):
        raise WrongUseError(f"{init} looks at {starts}; leave out --obs-type {wanted}, or give another start")
    return starts


def _simulated(task: str, judged: dict[str, Any], randomization: str) -> "SimFactory":
    from reachy_kit.cli.simulated import BatchExpert, make_envs
    from reachy_policies.reinforcement.reinforce import SimFactory

    return SimFactory(
        envs=lambda tier, variant, count: make_envs(
            task, count, **{**judged, "tier": tier, "variant": variant, "randomization": randomization}
        ),
        eval_envs=lambda count: make_envs(task, count, **judged),
        teacher=lambda count, seed: BatchExpert(task, judged["policy_hz"], range(seed, seed + count)),
    )
