"""``reachy-kit train``: learn from what was recorded."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reachy_kit.cli import show
from reachy_kit.cli.settings import ConfigOption, SetOption, read_settings, refuse_rest, take
from reachy_kit.errors import RefusedError, WrongUseError

if TYPE_CHECKING:
    from reachy_policies.run import Run

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def train() -> None:
    """Learn from what was recorded.

    Example: reachy-kit train imitation --dataset data/look_at --out runs/look_at
    """


@app.command()
def imitation(
    dataset: Annotated[Path, typer.Option("--dataset", help="Folder of a dataset recorded with reachy-kit record.")],
    out: Annotated[
        Path,
        typer.Option("--out", help="Folder of the run; a run that is there is replaced when the new one is whole."),
    ],
    policy: Annotated[str, typer.Option("--policy", help="What learns: chunk.")] = "chunk",
    seed: Annotated[int, typer.Option("--seed", help="Of the split, the weights and the batches.")] = 0,
    config: ConfigOption = None,
    settings: SetOption = [],  # noqa: B006  (typer copies it)
    json: show.JsonOption = False,
) -> None:
    """Fit a policy to demonstrations, and stop when held-out episodes no longer improve.

    Example: reachy-kit train imitation --dataset data/look_at --policy chunk --out runs/look_at
    """
    if policy != "chunk":
        raise WrongUseError(f"--policy {policy} does not exist; there is chunk")
    run = train_imitation(dataset, out, seed=seed, settings=read_settings(config, settings))
    if json:
        show.print_json({"run": str(run.path), **run.card.provenance()})
        return
    card = run.card
    show.result(
        f"kept step {card.steps} of {card.seconds:.0f} s of training; its plans for the held-out episodes are off by "
        f"{1e3 * (card.held_out_error or 0):.1f} thousandths (m and rad)"
    )
    show.result(f"run in {out} (curve: {out / 'curve.png'}). Next: reachy-kit eval {out} --task {card.task}")


def train_imitation(dataset: Path, out: Path, *, seed: int, settings: dict[str, Any]) -> "Run":
    """Fit and save; the settings go to the fit or to the policy, whichever knows them."""
    from reachy_kit.recording import read_layout

    read_layout(dataset)  # a wrong folder is noticed before LeRobot is loaded
    if out.is_file() or (out.exists() and any(out.iterdir()) and not (out / "card.json").is_file()):
        raise RefusedError(f"{out} holds something that is no run, and would be replaced. Choose another --out")
    with show.working("loading torch and LeRobot"):
        from reachy_policies.chunk import ReachyChunkConfig
        from reachy_policies.demonstrations import load_demonstrations, windows
        from reachy_policies.imitation import ImitationConfig, Progress, fit
        from reachy_policies.run import save_imitation
    fit_config = take(settings, ImitationConfig, seed=seed)
    policy_config = take(settings, ReachyChunkConfig)
    refuse_rest(settings, ImitationConfig, ReachyChunkConfig)
    demonstrations = load_demonstrations(dataset)
    with show.progress("training", total=fit_config.max_steps // fit_config.eval_every) as advance:

        def on_progress(progress: Progress) -> None:
            advance()

        fitted = fit(demonstrations, policy_config, fit_config, on_progress)
    sizes = fitted.policy.config.n_obs_steps, fitted.policy.config.chunk_size
    examples = windows(demonstrations, demonstrations.episodes, *sizes)
    return save_imitation(out, fitted, demonstrations.layout, dataset, examples, fit_config)
