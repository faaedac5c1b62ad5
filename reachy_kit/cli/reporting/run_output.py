"""What ``reachy-kit run`` prints: sentences for people, JSON for scripts."""

from pathlib import Path
from typing import TYPE_CHECKING

from reachy_kit.cli import show
from reachy_kit.runtime.folder_contents import free_path
from reachy_kit.runtime.shell_command import compose_command

if TYPE_CHECKING:
    from reachy_kit.workflows.recording.policy_correction import Corrections
    from reachy_kit.workflows.run import RobotRun


def show_behaviours(*, json: bool) -> None:
    """Show every behaviour that can be loaded, one line each."""
    from reachy_kit.runtime.behaviours.behaviour_registry import known_behaviours

    known = list(known_behaviours())
    if json:
        show.print_json(
            {named.name: {"argument": named.kind.argument, "summary": named.kind.summary} for named in known}
        )
        return
    usages = [f"{named.name}[:{named.kind.argument}]" if named.kind.argument else named.name for named in known]
    for usage, named in zip(usages, known, strict=True):
        show.result(f"{usage:{max(map(len, usages))}}  {named.kind.summary}")


def show_run(run: "RobotRun", *, json: bool) -> None:
    """Show the episodes of a run, and how its loop kept up."""
    if json:
        show.print_json(_summary(run))
        return
    error = run.error
    for episode in run.episodes if not run.shares else ():  # behaviours have no task to succeed in
        outcome = "" if episode.success is None else f": {'success' if episode.success else 'no success'}"
        if error and episode.task_error is not None:
            outcome += f", {error.name} {error.text(episode.task_error)}"
        show.result(f"episode {episode.seed}{outcome}")
    if run.shares:
        drove = ", ".join(f"{name} {100 * share:.0f} %" for name, share in run.shares.items())
        show.result(f"who drove: {drove}; hand-overs: {run.hand_overs}")
    for line in (run.calmness, run.detection, run.inference, run.rate):
        if line:
            show.result(line.text())


def _summary(run: "RobotRun") -> dict[str, object]:
    error, rate = run.error, run.rate
    return {
        "drivers": list(run.given),
        "robot": run.robot,
        "successes": [None if run.shares else episode.success for episode in run.episodes],
        "error": error
        and {
            "name": error.name,
            "unit": error.unit,
            "episodes": [
                None if episode.task_error is None else round(error.scale * episode.task_error, 3)
                for episode in run.episodes
            ],
        },
        "calmness": run.calmness and run.calmness.summary(),
        "detection": run.detection and run.detection.summary(),
        "inference": run.inference and run.inference.summary(),
        "shares": {name: round(share, 4) for name, share in run.shares.items()},
        "hand_overs": run.hand_overs,
        "rate": rate and rate.summary(),
    }


def show_corrections(recorded: "Corrections", *, json: bool) -> None:
    """Show what a person has corrected, and the command that trains on it."""
    out = recorded.dataset
    if json:
        show.print_json({"dataset": str(out), "episodes": recorded.episodes, "frames": recorded.frames})
        return
    show.result(
        f"{recorded.episodes} corrected episodes in {out}; the person drove in {recorded.frames} frames. "
        "Next, with the demonstrations that the policy has learned from: "
        + compose_command(
            "train imitation --dataset DEMONSTRATIONS", dataset=out, out=free_path(Path("runs", out.resolve().name))
        )
    )
