"""What ``reachy-kit train`` prints: sentences for people, with the next command, and JSON for scripts."""

from collections.abc import Callable, Mapping
from math import degrees
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reachy_kit.cli import show
from reachy_kit.runtime.shell_command import compose_command

if TYPE_CHECKING:
    from reachy_policies.runs.saved_run import Run


def show_imitation(run: "Run", out: Path, evaluated: Callable[[], Mapping[str, Any]], *, json: bool) -> None:
    """Show what was kept of a training from demonstrations.

    Args:
        run: the result.
        out: its folder, as it was given.
        evaluated: reads from the dataset the options that evaluate it; asked for the hint alone.
        json: whether to print JSON.
    """
    from reachy_policies.runs.run_files import CURVE_PNG

    card = run.card
    if json:
        show.print_json({"run": str(run.path), **card.provenance()})
        return
    position, angle = card.held_out_position_error, card.held_out_angle_error
    plans = (
        ""
        if position is None or angle is None
        else f"; its plans for the held-out episodes are off by {1e3 * position:.1f} mm and {degrees(angle):.1f}°"
    )
    kept = f"iteration {card.result['dagger_iteration']}, " if card.method == "dagger" else ""
    show.result(f"kept {kept}step {card.steps} of {card.seconds:.0f} s of training{plans}")
    show.result(f"run in {out} (curve: {out / CURVE_PNG}). Next: {compose_command('eval', out, **evaluated())}")


def show_reinforcement(run: "Run", out: Path, evaluated: Mapping[str, Any], *, json: bool) -> None:
    """Show what was kept of a training in the simulator.

    Args:
        run: the result.
        out: its folder, as it was given.
        evaluated: options that evaluate it.
        json: whether to print JSON.
    """
    from reachy_policies.runs.run_files import CURVE_PNG

    card = run.card
    if json:
        show.print_json({"run": str(run.path), "total_seconds": card.total_seconds, **card.provenance()})
        return
    show.result(
        f"kept iteration {card.steps}: success {100 * card.result['success']:.0f} %, {card.error_heading} "
        f"{card.result['error']:.1f} on the episodes that chose it; {card.seconds:.0f} s of training"
    )
    show.result(f"run in {out} (curve: {out / CURVE_PNG}). Next: {compose_command('eval', out, 'expert', **evaluated)}")


def show_seeds(out: Path, seeds: int, evaluated: Callable[[], Mapping[str, Any]], *, json: bool) -> None:
    """Show where the runs of several training seeds are.

    Args:
        out: their folder, as it was given.
        seeds: number of them.
        evaluated: gives the options that evaluate them; asked for the hint alone.
        json: whether to print JSON.
    """
    if json:
        show.print_json({"runs": [str(out / f"seed-{seed}") for seed in range(seeds)]})
    else:
        show.result(
            f"{seeds} seeds in {out}. Next: "
            + compose_command("eval", out, **evaluated(), variants="held-out", episodes=200)
        )


def evaluation_options(task: str, variant: str) -> dict[str, Any]:
    """Options that evaluate a policy on a task, in a variant of it."""
    return {"task": task, "variant": None if variant == "training" else variant}
