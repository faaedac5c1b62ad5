"""``reachy-kit train imitation``: learn from what was recorded."""

from functools import partial
from pathlib import Path
from typing import Any

from reachy_kit.cli import show
from reachy_kit.cli.options import ConfigOption, JsonOption, OperatorOption, SeedsOption, SetOption, read_settings
from reachy_kit.cli.reporting.training_output import evaluation_options, show_imitation, show_seeds
from reachy_kit.cli.training.training_options import (
    DaggerDeviceOption,
    DaggerEpisodesOption,
    DaggerOption,
    DatasetsOption,
    DatasetTaskOption,
    FreshFitOption,
    HeadCameraOption,
    ImitationOutOption,
    ObservedOption,
    PolicyOption,
    SplitSeedOption,
    TrackOption,
)
from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.folder_contents import free_path
from reachy_kit.runtime.shell_command import compose_command
from reachy_kit.runtime.tasks.task_registry import task_argument


def imitation(
    dataset: DatasetsOption,
    out: ImitationOutOption,
    policy: PolicyOption = "chunk",
    obs_type: ObservedOption = "",
    seed: SplitSeedOption = 0,
    seeds: SeedsOption = 0,
    fresh: FreshFitOption = False,
    track: TrackOption = False,
    dagger: DaggerOption = 0,
    task: DatasetTaskOption = "",
    camera: HeadCameraOption = "",
    dagger_episodes: DaggerEpisodesOption = 10,
    dagger_teleop: DaggerDeviceOption = "",
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
    evaluated = partial(_evaluated, dataset[0], task)
    if seeds:
        train_seeds("dagger" if dagger else "imitation", out, seeds, arguments, reporter=show.TERMINAL)
        show_seeds(out, seeds, evaluated, json=json)
        return
    train = train_dagger if dagger else train_imitation
    run = train(out=out, seed=seed, reporter=show.TERMINAL, **arguments)
    show_imitation(run, out, evaluated, json=json)


def _person(teleop: str, operator: str, seeds: int) -> dict[str, Any]:
    """Arguments of a training that a person corrects."""
    if not teleop:
        if operator:
            raise WrongUseError("--operator is for the person who corrects with --dagger-teleop")
        return {}
    if seeds:
        raise WrongUseError("--seeds trains by itself, and --dagger-teleop needs a person for each. Leave out --seeds")
    from reachy_kit.cli.reporting.recording_screen import TerminalScreen
    from reachy_kit.workflows.training.dagger_training import CorrectingPerson

    return {"person": CorrectingPerson(teleop, operator, TerminalScreen())}


def _only(datasets: list[Path]) -> Path:
    """The one dataset that --dagger grows."""
    if len(datasets) > 1:
        merge = compose_command("dataset merge", *datasets, out=free_path(datasets[0]))
        raise WrongUseError(f"--dagger grows one dataset. Merge them first: {merge}")
    return datasets[0]


def _evaluated(dataset: Path, task: str) -> dict[str, Any]:
    """Options that evaluate a policy on what its dataset demonstrates."""
    from reachy_kit.dataset.dataset_layout import read_dataset_layout

    layout = read_dataset_layout(dataset)
    return evaluation_options(task or task_argument(layout.task), layout.provenance.get("variant", ""))
