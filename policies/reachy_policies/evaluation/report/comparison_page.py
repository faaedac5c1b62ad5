"""Report of a comparison of training groups: plots, tables, films of the worst episodes, and the command behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reachy_policies.evaluation.comparison import Comparison
from reachy_policies.evaluation.groups import TrainingGroup
from reachy_policies.evaluation.report.comparison_tables import difference_table, remarks, score_table
from reachy_policies.evaluation.report.page import (
    Block,
    Command,
    Gallery,
    Media,
    Page,
    Section,
    TableBlock,
    Text,
    plot,
)
from reachy_policies.evaluation.report.report_plots import errors_over_time_plot, intervals_plot
from reachy_policies.runs.saved_run import Run


@dataclass(frozen=True)
class ComparisonReport:
    """Contents of the report."""

    comparison: Comparison
    task: str
    instruction: str
    """The task in words."""
    tier: str
    films: Sequence[Media]
    films_missing: str
    """Why there are no films; empty where there are."""
    versions: Mapping[str, str]
    command: str
    """Command line that made the report."""


def comparison_page(report: ComparisonReport) -> Page:
    """Lay out the report as a page."""
    comparison, error = report.comparison, report.comparison.config.error
    names = [group.name for group in comparison.groups]
    sections = [
        Section("", _overview(report)),
        *_differences(comparison),
        Section("Every variant", _scores(comparison)),
        Section(f"{error.name.capitalize()} over time", [
            plot(
                errors_over_time_plot(comparison),
                f"median {error.name} over the seconds of an episode, a panel per variant",
            )
        ]),
        Section("Worst episodes", _films(report)),
        Section("Provenance", _provenance(report), folded=True),
    ]  # fmt: skip
    return Page(f"{report.task}, {' against '.join(names)}", f"“{report.instruction}”", sections)


def _overview(report: ComparisonReport) -> list[Block]:
    comparison, config = report.comparison, report.comparison.config
    names = ", ".join(group.name for group in comparison.groups)
    held_out = len(config.held_out)
    variants = f" and of each of {held_out} held-out variant{'s' if held_out > 1 else ''}" if held_out else ""
    strokes = any(len(group.trainings) > 1 for group in comparison.groups)
    return [
        Text(
            f"{names}, evaluated on {config.episodes} episodes of “{config.in_task}”{variants}. All policies start "
            f"from the same initial states, in the simulator's {report.tier} tier."
        ),
        plot(intervals_plot(comparison), "success and error of each policy on each variant, with 95 % intervals"),
        Text(
            f"Bars are 95 % intervals{'; small strokes are single trainings' if strokes else ''}. Success: Wilson's "
            "interval over episodes; with several trainings also the t-interval over trainings, where that is wider. "
            "Error: interquartile mean with a bootstrap over trainings; a single training has no bar."
        ),
    ]


def _differences(comparison: Comparison) -> list[Section]:
    """Differences from the first group, with the remarks; without a second group the remarks alone."""
    notes = [Text(remark) for remark in remarks(comparison)]
    if len(comparison.groups) == 1:
        return [Section("", notes)]
    first = comparison.groups[0].name
    explanation = Text(
        f"Points of success, other minus {first}. Interval: Newcombe's over pairs of episodes; also the t-interval "
        "over pairs of training seeds, where that is wider. p: exact sign-flip test over pairs of training seeds."
    )
    sections = [Section(f"Against {first}", [TableBlock(difference_table(comparison)), explanation, *notes])]
    if any(group.trained for group in comparison.groups):
        matching = Text(
            f"Only pairs of trainings whose mean rewards on “{comparison.config.in_task}” differ by at most "
            f"{comparison.config.match}: a policy that does the task better may do everything else better for that "
            "alone."
        )
        table = TableBlock(difference_table(comparison, equal_return=True))
        sections.append(Section("At equal in-task return", [table, matching]))
    return sections


def _scores(comparison: Comparison) -> list[Block]:
    return [
        TableBlock(score_table("", comparison)),
        Text(
            "Gap closed: share of the way from the scripted expert's mean error (0) to the oracle's (1); “—” unless "
            "the oracle does better. Jerk: mean magnitude of the third derivative of the commanded angles, rad/s³. "
            "Action rate: mean speed of the commanded angles, all axes together, rad/s. Demo distance: "
            "root-mean-square distance of the commanded angles from the expert's in the same episodes."
        ),
    ]


def _films(report: ComparisonReport) -> list[Block]:
    if not report.films:
        return [Text(report.films_missing)]
    words = "Episodes of the first policy and of the last with the largest mean error, each of another variant."
    return [Gallery(report.films, columns=2), Text(words)]


def _provenance(report: ComparisonReport) -> list[Block]:
    seeds = report.comparison.config.seeds
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    return [
        Command(report.command),
        Text(f"Episode seeds {seeds[0]} to {seeds[-1]}. {versions}."),
        *(Text(_run_line(group, run)) for group in report.comparison.groups for run in group.runs),
    ]


def _run_line(group: TrainingGroup, run: Run) -> str:
    dataset = f", dataset {run.card.dataset}" if run.card.dataset else ""
    return f"{group.name}: {run.card.method}, training seed {run.card.seed}, step {run.card.steps}{dataset}, {run.path}"
