"""``reachy-kit train imitation``: learn from what was recorded."""

from collections.abc import Mapping
from math import degrees
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reachy_kit.cli import show
from reachy_kit.cli.options import (
    ConfigOption,
    JsonOption,
    OperatorOption,
    SeedsOption,
    SetOption,
    expand_home,
    path_option,
    read_settings,
)
from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.folder_contents import free_path
from reachy_kit.runtime.shell_command import compose_command
from reachy_kit.runtime.tasks.task_registry import task_argument

if TYPE_CHECKING:
    from reachy_policies.runs.saved_run import Run


def imitation(
    dataset: Annotated[
        list[Path],
        path_option(
            "--dataset",
            help="Folder of a LeRobot v3 dataset of this robot, recorded with reachy-kit or not; may be repeated.",
        ),
    ],
    out: Annotated[
        Path,
        path_option(
            "--out",
            help="Folder of the run. An unfinished run is resumed, a finished one replaced by a complete new one.",
        ),
    ],
    policy: Annotated[
        str,
        typer.Option("--policy", help="The policy to train: chunk, or LeRobot's act or diffusion."),
    ] = "chunk",
    obs_type: Annotated[
        str,
        typer.Option(
            "--obs-type",
            help="What it observes besides the pose: state (perception's features), or pixels (the images alone) of a "
            "dataset recorded with --camera; LeRobot's policies take pixels_state (both) too. Default: state.",
        ),
    ] = "",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the split, the weights and the batches.")] = 0,
    seeds: SeedsOption = 0,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start over, and discard an unfinished training in --out.")
    ] = False,
    track: Annotated[
        bool, typer.Option("--track", help="Write TensorBoard's events into the folder tensorboard beside --out.")
    ] = False,
    dagger: Annotated[
        int,
        typer.Option(
            "--dagger",
            min=0,
            metavar="N",
            help="Then N times: let the policy act in the simulator, have the expert correct it, and fit again; "
            "the iterations and the growing copy of the dataset lie in OUT.dagger.",
        ),
    ] = 0,
    task: Annotated[
        str,
        typer.Option(
            "--task",
            parser=expand_home,
            metavar="NAME|FILE.py",
            help="The task that the dataset shows, if it does not say so; of a task of your own, its file.",
        ),
    ] = "",
    camera: Annotated[
        str, typer.Option("--camera", metavar="NAME", help="The head's camera, if the dataset has several others.")
    ] = "",
    dagger_episodes: Annotated[
        int, typer.Option("--dagger-episodes", min=1, help="Corrected episodes that each iteration of --dagger adds.")
    ] = 10,
    dagger_teleop: Annotated[
        str,
        typer.Option(
            "--dagger-teleop",
            parser=expand_home,
            metavar="NAME[:ARGUMENT]",
            help="For --dagger: a person corrects with this device instead of the expert, and takes over by the key c.",
        ),
    ] = "",
    operator: OperatorOption = "",
    config: ConfigOption = None,
    settings: SetOption = [],  # noqa: B006  (typer copies it)
    json: JsonOption = False,
) -> None:
    """Fit a policy to demonstrations, and stop when held-out episodes no longer improve.

    After Ctrl-C or a crash the same command resumes from the last checkpoint.

    Example: reachy-kit train imitation --dataset data/look_at --policy chunk --out runs/look_at

    Example: reachy-kit train imitation --dataset data/track --dagger 3 --out runs/track

    Example: reachy-kit train imitation --dataset data/track --dagger 2 --dagger-teleop keyboard --out runs/by_hand

    Example: reachy-kit train imitation --dataset data/monday --dataset data/tuesday --out runs/look_at

    Example: reachy-kit train imitation --dataset data/track_images --obs-type pixels --out runs/track_images
    """
    from reachy_kit.workflows.training.dagger_training import train_dagger
    from reachy_kit.workflows.training.sweep import train_seeds
    from reachy_kit.workflows.training.train_imitation import train_imitation

    if dagger and track:
        raise WrongUseError("--track follows one fit; leave it out with --dagger, which writes a table of its own")
    given = read_settings(config, settings) | ({"obs_type": obs_type} if obs_type else {})
    arguments: dict[str, Any] = {"task": task, "policy": policy, "fresh": fresh, "settings": given}
    if dagger:
        arguments |= {"dataset": _only(dataset), "iterations": dagger, "episodes": dagger_episodes}
        arguments |= _person(dagger_teleop, operator, seeds)
    elif dagger_teleop or operator:
        raise WrongUseError("--dagger-teleop and --operator are for the person who corrects in --dagger N")
    else:
        arguments |= {"dataset": dataset, "camera": camera, "track": track}
    if seeds:
        train_seeds("dagger" if dagger else "imitation", out, seeds, arguments, reporter=show.TERMINAL)
        show_seeds(out, seeds, _evaluated(dataset[0], task), json=json)
        return
    train = train_dagger if dagger else train_imitation
    run = train(out=out, seed=seed, reporter=show.TERMINAL, **arguments)
    if json:
        show.print_json({"run": str(run.path), **run.card.provenance()})
    else:
        _show(run, out, _evaluated(dataset[0], task))


def _person(teleop: str, operator: str, seeds: int) -> dict[str, Any]:
    """Arguments of a training that a person corrects."""
    if not teleop:
        if operator:
            raise WrongUseError("--operator is for the person who corrects with --dagger-teleop")
        return {}
    if seeds:
        raise WrongUseError("--seeds trains by itself, and --dagger-teleop needs a person for each. Leave out --seeds")
    from reachy_kit.cli.reporting.recording_screen import TerminalScreen

    return {"teleop": teleop, "operator": operator, "screen": TerminalScreen()}


def _only(datasets: list[Path]) -> Path:
    """The one dataset that --dagger grows."""
    if len(datasets) > 1:
        merge = compose_command("dataset merge", *datasets, out=free_path(datasets[0]))
        raise WrongUseError(f"--dagger grows one dataset. Merge them first: {merge}")
    return datasets[0]


def show_seeds(out: Path, seeds: int, evaluated: Mapping[str, Any], *, json: bool) -> None:
    """Show where the runs of several training seeds are."""
    if json:
        show.print_json({"runs": [str(out / f"seed-{seed}") for seed in range(seeds)]})
    else:
        show.result(
            f"{seeds} seeds in {out}. Next: "
            + compose_command("eval", out, **evaluated, variants="held-out", episodes=200)
        )


def _evaluated(dataset: Path, task: str) -> dict[str, Any]:
    """Options that evaluate a policy on what its dataset demonstrates."""
    from reachy_kit.dataset.dataset_layout import read_dataset_layout

    layout = read_dataset_layout(dataset)
    return evaluation_options(task or task_argument(layout.task), layout.provenance.get("variant", ""))


def evaluation_options(task: str, variant: str) -> dict[str, Any]:
    """Options that evaluate a policy on a task, in a variant of it."""
    return {"task": task, "variant": None if variant == "training" else variant}


def _show(run: "Run", out: Path, evaluated: Mapping[str, Any]) -> None:
    from reachy_policies.runs.run_files import CURVE_PNG

    card = run.card
    position, angle = card.held_out_position_error, card.held_out_angle_error
    plans = (
        ""
        if position is None or angle is None
        else f"; its plans for the held-out episodes are off by {1e3 * position:.1f} mm and {degrees(angle):.1f}°"
    )
    kept = f"iteration {card.result['dagger_iteration']}, " if card.method == "dagger" else ""
    show.result(f"kept {kept}step {card.steps} of {card.seconds:.0f} s of training{plans}")
    show.result(f"run in {out} (curve: {out / CURVE_PNG}). Next: {compose_command('eval', out, **evaluated)}")
