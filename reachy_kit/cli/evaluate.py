"""``reachy-kit eval``: evaluation of policies on the same initial states."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from reachy_kit.cli import show
from reachy_kit.cli.options import (
    JsonOption,
    PerceptionOption,
    RobotOption,
    TargetOption,
    TaskOption,
    expand_home,
    path_option,
)
from reachy_kit.cli.reporting.evaluation_output import show_comparison, show_evaluations
from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.perception.targets.target_registry import BALL
from reachy_kit.runtime.shell_command import repeat_command

MARGIN, MATCH, FILMS = 0.05, 0.02, 2
"""Defaults of ``--margin``, a share of episodes, of ``--match`` and of ``--films``."""


def evaluate(
    policies: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN|BUNDLE|NAME=DIR|expert|oracle|random…",
            parser=expand_home,
            help="What to evaluate; the others are compared with the first. NAME=DIR is a group: a folder with "
            "seed-0, seed-1 …, a run for each training seed.",
        ),
    ],
    task: TaskOption = "look_at",
    variant: Annotated[
        str,
        typer.Option(
            "--variant", help="The task's variant; with --variants, the one that the policies were trained on."
        ),
    ] = "training",
    variants: Annotated[
        str | None,
        typer.Option(
            "--variants",
            metavar="held-out|all|NAME,NAME",
            help="Also evaluate on these, in the batched simulator; held-out or all: every other variant.",
        ),
    ] = None,
    episodes: Annotated[
        int, typer.Option("--episodes", min=1, help="Initial states, the same for every policy.")
    ] = 100,
    robot: RobotOption = "sim",
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="sim|daemon",
            help="Also evaluate on this robot, and compare the two robots on the same episodes.",
        ),
    ] = None,
    perception: PerceptionOption = "auto",
    target: TargetOption = BALL,
    tier: Annotated[
        str | None, typer.Option("--tier", metavar="physics|kinematic", help="Tier of the batched simulator.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the first initial state.")] = 0,
    margin: Annotated[
        float | None,
        typer.Option(
            "--margin",
            min=0.0,
            max=100.0,
            show_default=f"{100 * MARGIN:g}",
            help="Largest change in success, in points, that counts as kept, in a comparison in the batched simulator.",
        ),
    ] = None,
    match: Annotated[
        float | None,
        typer.Option(
            "--match",
            min=0.0,
            show_default=f"{MATCH:g}",
            help="Largest difference between in-task returns that count as equal, in the same comparison.",
        ),
    ] = None,
    html: Annotated[
        Path | None, path_option("--html", metavar="FILE", help="Write everything to one HTML page.")
    ] = None,
    films: Annotated[
        int | None,
        typer.Option(
            "--films",
            min=0,
            show_default=str(FILMS),
            help="Worst episodes to film for --html's page, of the first policy and of the last, each.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Evaluate policies on the same seeded initial states: success with a 95 % interval, error, and which claims hold.

    Example: reachy-kit eval runs/look_at expert --task look_at --episodes 100 --json

    Example: reachy-kit eval look_at.bundle --robot daemon --against sim --episodes 200

    Example: reachy-kit eval BC=runs/bc RL=runs/rl --task track --variants held-out --episodes 200 --html compared.html
    """
    from reachy_kit.workflows.evaluate import evaluate_policies, require_simulated
    from reachy_kit.workflows.group_comparison import compare_policies, write_comparison
    from reachy_kit.workflows.inputs.policy_arguments import is_group
    from reachy_policies.evaluation.report.page import check_page_file

    require_simulated(robot, against)
    batched = variants is not None or tier is not None or html is not None or any(is_group(name) for name in policies)
    if films is not None and html is None:
        raise WrongUseError("--films are for a page: give --html too")
    if (margin is not None or match is not None) and not (batched and len(policies) > 1):
        raise WrongUseError(
            "--margin and --match compare two policies or more in the batched simulator: give --variants, --tier, "
            "--html or a group too"
        )
    if not batched:
        show_evaluations(
            evaluate_policies(
                policies, task=task, variant=variant, robot=robot, against=against, perception=perception,
                target=target, episodes=episodes, seed=seed, reporter=show.TERMINAL,
            ),
            json=json,
        )  # fmt: skip
        return
    if robot != "sim" or against or perception not in ("auto", "geometry"):
        raise WrongUseError(
            "--variants, --tier, --html and groups need --robot sim alone and its --perception geometry"
        )
    if html is not None:
        check_page_file(html)
    comparison = compare_policies(
        policies, task=task, variant=variant, variants=variants, tier=tier or "physics", episodes=episodes, seed=seed,
        margin=MARGIN if margin is None else margin / 100, match=MATCH if match is None else match,
        reporter=show.TERMINAL,
    )  # fmt: skip
    if html is not None:
        command = repeat_command(sys.argv[1:])
        count = FILMS if films is None else films
        write_comparison(html, comparison, films=count, command=command, reporter=show.TERMINAL)
    show_comparison(comparison, json=json)
    if html is not None and not json:
        show.result(f"page: {html}")
