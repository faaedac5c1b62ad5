"""What ``reachy-kit eval`` prints: tables and sentences for people, JSON for scripts."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reachy_kit.cli import show

if TYPE_CHECKING:
    from reachy_kit.workflows.evaluate import PolicyEvaluations
    from reachy_kit.workflows.group_comparison import GroupComparison
    from reachy_policies.evaluation.policy_evaluation import Evaluation


def show_evaluations(evaluations: "PolicyEvaluations", *, json: bool) -> None:
    """Show evaluations on one robot or two, and their differences, as tables or as JSON."""
    from reachy_policies.evaluation.report.tables import difference_line, evaluation_table

    results, robot, against = evaluations.results, evaluations.robot, evaluations.against
    if json:
        summary: dict[str, Any] = {
            "task": evaluations.task,
            "variant": evaluations.variant,
            "evaluations": [evaluation.summary() for evaluation in results + evaluations.elsewhere],
            "compared_with_first": [show.paired_summary(results[0], other) for other in results[1:]],
        }
        if against:
            pairs = zip(evaluations.elsewhere, results, strict=True)
            summary["compared_with_robot"] = [show.paired_summary(there, here) for there, here in pairs]
        show.print_json(summary)
        return
    task, variant, count = evaluations.task, evaluations.variant, len(results[0].episodes)
    of = task if variant == "training" else f"{task}, {variant},"
    show.print_table(evaluation_table(f"{of} on {robot}, {count} episodes", results))
    for other in results[1:]:
        show.result(difference_line(results[0], other))
    if against:
        show.print_table(evaluation_table(f"{of} on {against}, {count} episodes", evaluations.elsewhere))
        for there, here in zip(evaluations.elsewhere, results, strict=True):
            show.result(difference_line(_named_with(against, there), _named_with(robot, here)))


def _named_with(robot: str, evaluation: "Evaluation") -> "Evaluation":
    return replace(evaluation, policy=f"{evaluation.policy}, {robot}")


def show_comparison(result: "GroupComparison", *, json: bool) -> None:
    """Show a comparison in the batched simulator, as tables with their remarks or as JSON."""
    from reachy_policies.evaluation.report.comparison_summary import summarise_comparison
    from reachy_policies.evaluation.report.comparison_tables import comparison_tables, remarks

    comparison, task, tier = result.comparison, result.task, result.tier
    if json:
        versions = result.versions
        show.print_json({"task": task, "tier": tier, "versions": versions, **summarise_comparison(comparison)})
        return
    for table in comparison_tables(f"{task}, {tier} tier, {comparison.config.episodes} episodes", comparison):
        show.print_table(table)
    for remark in remarks(comparison):
        show.result(remark)
