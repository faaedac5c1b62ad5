"""``reachy-kit eval``: evaluation of policies on the same initial states."""

import sys
from pathlib import Path
from typing import Any

from reachy_kit.cli import show
from reachy_kit.cli.evaluation_options import (
    FILMS,
    MARGIN,
    MATCH,
    AgainstOption,
    EpisodesOption,
    FilmsOption,
    MarginOption,
    MatchOption,
    PageOption,
    PoliciesArgument,
    SeedOption,
    TierOption,
    VariantOption,
    VariantsOption,
)
from reachy_kit.cli.options import JsonOption, PerceptionOption, RobotOption, TargetOption, TaskOption
from reachy_kit.cli.reporting.evaluation_output import show_comparison, show_evaluations
from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.perception.targets.target_registry import BALL
from reachy_kit.runtime.shell_command import repeat_command


def evaluate(
    policies: PoliciesArgument,
    task: TaskOption = "look_at",
    variant: VariantOption = "training",
    variants: VariantsOption = None,
    episodes: EpisodesOption = 100,
    robot: RobotOption = "sim",
    against: AgainstOption = None,
    perception: PerceptionOption = "auto",
    target: TargetOption = BALL,
    tier: TierOption = None,
    seed: SeedOption = 0,
    margin: MarginOption = None,
    match: MatchOption = None,
    html: PageOption = None,
    films: FilmsOption = None,
    json: JsonOption = False,
) -> None:
    """Evaluate policies on the same seeded initial states: success with a 95 % interval, error, and which claims hold.

    Example: reachy-kit eval runs/look_at expert --task look_at --episodes 100 --json

    Example: reachy-kit eval look_at.bundle --robot daemon --against sim --episodes 200

    Example: reachy-kit eval BC=runs/bc RL=runs/rl --task track --variants held-out --episodes 200 --html compared.html
    """
    from reachy_kit.workflows.evaluate import evaluate_policies, require_simulated
    from reachy_kit.workflows.inputs.policy_arguments import is_group

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
        evaluations = evaluate_policies(
            policies, task=task, variant=variant, robot=robot, against=against, perception=perception,
            target=target, episodes=episodes, seed=seed, reporter=show.TERMINAL,
        )  # fmt: skip
        show_evaluations(evaluations, json=json)
        return
    if robot != "sim" or against or perception not in ("auto", "geometry"):
        raise WrongUseError(
            "--variants, --tier, --html and groups need --robot sim alone and its --perception geometry"
        )
    _compare(
        policies, html, FILMS if films is None else films, json=json, task=task, variant=variant, variants=variants,
        tier=tier or "physics", episodes=episodes, seed=seed, margin=MARGIN if margin is None else margin / 100,
        match=MATCH if match is None else match,
    )  # fmt: skip


def _compare(policies: list[str], html: Path | None, films: int, *, json: bool, **settings: Any) -> None:
    """Compare policies in the batched simulator, and write the page where one was asked for."""
    from reachy_kit.workflows.group_comparison import compare_policies, write_comparison
    from reachy_policies.evaluation.report.page import check_page_file

    if html is not None:
        check_page_file(html)
    comparison = compare_policies(policies, **settings, reporter=show.TERMINAL)
    if html is not None:
        command = repeat_command(sys.argv[1:])
        write_comparison(html, comparison, films=films, command=command, reporter=show.TERMINAL)
    show_comparison(comparison, json=json)
    if html is not None and not json:
        show.result(f"page: {html}")
