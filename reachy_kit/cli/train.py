"""``reachy-kit train``: learn from what was recorded."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reachy_kit.cli import show
from reachy_kit.cli.seeds import SeedsOption, one_process_a_seed
from reachy_kit.cli.settings import ConfigOption, SetOption, read_settings, refuse_rest, take
from reachy_kit.runtime.errors import RefusedError, WrongUseError

if TYPE_CHECKING:
    from reachy_policies.data.demonstrations import Demonstrations
    from reachy_policies.imitation.behavior_cloning import TrainResult
    from reachy_policies.imitation.supervised import FittingConfig, OnProgress
    from reachy_policies.runs.run import Run

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def train() -> None:
    """Learn from what was recorded.

    Example: reachy-kit train imitation --dataset data/look_at --out runs/look_at
    """


@app.command()
def imitation(
    context: typer.Context,
    dataset: Annotated[Path, typer.Option("--dataset", help="Folder of a dataset recorded with reachy-kit record.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help="Folder of the run. An unfinished one is gone on with; a finished one is replaced by a whole new one.",
        ),
    ],
    policy: Annotated[
        str,
        typer.Option("--policy", help="What learns: chunk, or a policy of LeRobot's (act, diffusion and others)."),
    ] = "chunk",
    obs_type: Annotated[
        str,
        typer.Option(
            "--obs-type",
            help="What it looks at: state (perception's features), or pixels of a dataset recorded with --camera; for "
            "LeRobot's policies pixels_state too. Else state for chunk, for the others pixels if there are any.",
        ),
    ] = "",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the split, the weights and the batches.")] = 0,
    seeds: SeedsOption = 0,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Begin anew, whatever --out holds of an unfinished training.")
    ] = False,
    track: Annotated[
        bool, typer.Option("--track", help="Write TensorBoard's events into the folder tensorboard beside --out.")
    ] = False,
    dagger: Annotated[
        int,
        typer.Option(
            "--dagger",
            min=0,
            metavar="ROUNDS",
            help="Then let the policy drive in the simulator, have the scripted expert correct it, and fit anew; "
            "rounds and the growing copy of the dataset lie in OUT.dagger.",
        ),
    ] = 0,
    task: Annotated[
        str,
        typer.Option(
            "--task", metavar="FILE.py", help="For --dagger: the file of the dataset's task, if it is in one."
        ),
    ] = "",
    dagger_episodes: Annotated[
        int, typer.Option("--dagger-episodes", min=1, help="Corrected episodes that each of these rounds adds.")
    ] = 10,
    config: ConfigOption = None,
    settings: SetOption = [],  # noqa: B006  (typer copies it)
    json: show.JsonOption = False,
) -> None:
    """Fit a policy to demonstrations, and stop when held-out episodes no longer improve.

    After Ctrl-C or a crash the same command goes on from its last checkpoint.

    Example: reachy-kit train imitation --dataset data/look_at --policy chunk --out runs/look_at

    Example: reachy-kit train imitation --dataset data/track --dagger 3 --out runs/track

    Example: reachy-kit train imitation --dataset data/track_seen --obs-type pixels --out runs/track_seen
    """
    if seeds:
        one_process_a_seed(context, out, seeds, skip_finished=not fresh)
        return
    given = read_settings(config, settings) | ({"obs_type": obs_type} if obs_type else {})
    if dagger:
        from reachy_kit.cli.dagger import train_dagger

        if track:
            raise WrongUseError(
                "--track follows one fit; leave it out with --dagger, whose rounds have their own table"
            )
        run = train_dagger(
            dataset,
            out,
            rounds=dagger,
            episodes=dagger_episodes,
            task=task,
            policy=policy,
            seed=seed,
            fresh=fresh,
            settings=given,
        )
    else:
        run = train_imitation(dataset, out, policy=policy, seed=seed, fresh=fresh, track=track, settings=given)
    if json:
        show.print_json({"run": str(run.path), **run.card.provenance()})
        return
    card = run.card
    error = card.held_out_error
    plans = (
        ""
        if error is None
        else f"; its plans for the held-out episodes are off by {1e3 * error:.1f} thousandths (m and rad)"
    )
    kept = f"round {card.result['dagger_round']}, " if dagger else ""
    show.result(f"kept {kept}step {card.steps} of {card.seconds:.0f} s of training{plans}")
    show.result(f"run in {out} (curve: {out / 'curve.png'}). Next: reachy-kit eval {out} --task {card.task}")


def train_imitation(
    dataset: Path,
    out: Path,
    *,
    policy: str = "chunk",
    seed: int,
    fresh: bool = False,
    track: bool = False,
    settings: dict[str, Any],
) -> "Run":
    """Fit and save; the settings go to the fit or to the policy, whichever knows them."""
    from reachy_kit.runtime.recording.layout import read_layout

    read_layout(dataset)  # a wrong folder is noticed before LeRobot is loaded
    with show.working("loading torch and LeRobot"):
        from reachy_policies.data.demonstrations import windows
        from reachy_policies.imitation.behavior_cloning import save_imitation
        from reachy_policies.imitation.tensorboard_events import events
    prepare(out, fresh=fresh)
    with contextlib.ExitStack() as stack:
        tracked = stack.enter_context(events(out)) if track else lambda progress: None
        if policy == "chunk":
            fitted, config, demonstrations = _chunk(dataset, out, seed, dict(settings), tracked)
        else:
            fitted, config, demonstrations = _of_lerobot(policy, dataset, out, seed, dict(settings), tracked)
    steps = fitted.policy.config
    sizes = steps.n_obs_steps, len(steps.action_delta_indices)
    examples = windows(demonstrations, demonstrations.episodes, *sizes)
    return save_imitation(out, fitted, demonstrations.layout, dataset, examples, config)


def prepare(out: Path, *, fresh: bool) -> None:
    """Refuse a folder that is something else, and say what becomes of one that is a run.

    Raises:
        RefusedError: the folder holds something else.
    """
    from reachy_policies.imitation.supervised import LAST
    from reachy_policies.runs.run import CARD, undo_broken_replacement

    undo_broken_replacement(out)
    run = (out / CARD).is_file() or {path.name for path in out.glob("*")} == {LAST.parent.name}
    if out.is_file() or (out.exists() and any(out.iterdir()) and not run):
        raise RefusedError(f"{out} holds something that is no run, and would be replaced. Choose another --out")
    if fresh:
        shutil.rmtree(out / LAST.parent, ignore_errors=True)
    elif (out / LAST).is_file():
        show.note(f"{out} holds an unfinished run; going on from its last checkpoint")


def _chunk(
    dataset: Path, out: Path, seed: int, settings: dict[str, Any], tracked: "OnProgress"
) -> "tuple[TrainResult, FittingConfig, Demonstrations]":
    from reachy_policies.data.demonstrations import load_demonstrations, with_pictures
    from reachy_policies.data.image_tensors import SMALL
    from reachy_policies.imitation.behavior_cloning import PIXEL_DEFAULTS, ImitationConfig, fit
    from reachy_policies.models.chunk import ReachyChunkConfig

    if settings.get("obs_type") == "pixels":
        settings = {**PIXEL_DEFAULTS, **settings}
    fit_config = take(settings, ImitationConfig, seed=seed)
    policy_config = take(settings, ReachyChunkConfig)
    refuse_rest(settings, ImitationConfig, ReachyChunkConfig)
    demonstrations = load_demonstrations(dataset)
    if fit_config.obs_type == "pixels":
        with show.working("reading the videos"):
            demonstrations = with_pictures(demonstrations, dataset, SMALL[1:])
    with _looks(fit_config, tracked) as on_progress:
        return fit(demonstrations, policy_config, fit_config, on_progress, out), fit_config, demonstrations


def _of_lerobot(
    kind: str, dataset: Path, out: Path, seed: int, settings: dict[str, Any], tracked: "OnProgress"
) -> "tuple[TrainResult, FittingConfig, Demonstrations]":
    from reachy_policies.data.demonstrations import load_demonstrations
    from reachy_policies.models.lerobot import AdapterConfig, fit_lerobot, policy_config_class, read_policy_config

    options = policy_config_class(kind)
    fit_config = take(settings, AdapterConfig, seed=seed)
    policy_config = read_policy_config(kind, settings)
    refuse_rest(settings, AdapterConfig, options)
    demonstrations = load_demonstrations(dataset)
    with _looks(fit_config, tracked) as on_progress:
        fitted = fit_lerobot(demonstrations, dataset, policy_config, fit_config, on_progress, out, show.note)
    return fitted, fit_config, demonstrations


@contextlib.contextmanager
def _looks(config: "FittingConfig", tracked: "OnProgress") -> "Iterator[OnProgress]":
    """A bar that moves with each look at the held-out episodes."""
    with show.progress("training", total=config.max_steps // config.eval_every) as advance:

        def on_progress(progress: Any) -> None:
            advance()
            tracked(progress)

        yield on_progress
