"""``reachy-kit dataset check``: what spoils training in a dataset, and what can be done about it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reachy_kit.cli import show
from reachy_kit.cli.options import JsonOption, path_argument, path_option

if TYPE_CHECKING:
    from reachy_kit.workflows.datasets.dataset_check import DatasetReport


def check(
    dataset: Annotated[Path, path_argument(metavar="DATASET", help="Folder of a LeRobot v3 dataset of this robot.")],
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended without loss.")] = False,
    instruction: Annotated[
        str, typer.Option("--instruction", metavar="TEXT", help="With --fix: words for episodes that have none.")
    ] = "",
    html: Annotated[
        Path | None, path_option("--html", metavar="FILE", help="Write one HTML page with pictures.")
    ] = None,
    only: Annotated[
        list[str],
        typer.Option("--only", metavar="RK…", help="Look for this finding alone, quietly; may be given repeatedly."),
    ] = [],  # noqa: B006
    json: JsonOption = False,
) -> None:
    """Look for what spoils training in a recorded dataset. Exit code 1 where something does.

    Example: reachy-kit dataset check data/look_at --fix
    """
    from reachy_kit.workflows.datasets.dataset_check import check_dataset
    from reachy_kit.workflows.inputs.reporter import SILENT

    reporter = SILENT if only else show.TERMINAL
    report = check_dataset(dataset, only=only, fix=fix, instruction=instruction, html=html, reporter=reporter)
    if json:
        show.print_json(report.summary())
    else:
        _show(report, quiet=bool(only))
        if html is not None:
            show.result(f"page: {html}")
    if report.spoilt:
        raise typer.Exit(1)


def _show(report: "DatasetReport", *, quiet: bool) -> None:
    from reachy_kit.dataset.checks.finding import Severity

    if not quiet:
        show.result(
            f"{report.dataset.root}: {len(report.dataset.episodes)} episodes, {report.frames} frames, "
            f"{report.seconds:.0f} s at {report.dataset.index.fps} Hz"
        )
    for finding in report.fixed:
        show.result(f"fixed   {finding.number}  {finding.title}")
    for finding in report.findings:
        show.result(f"{finding.severity.value:7} {finding.number}  {finding.title}: {finding.message}")
        remedy = f"{finding.remedy}: {finding.command}" if finding.command else finding.remedy
        if remedy:
            show.result(f"{'':14}{remedy}")
    if quiet:
        return
    counts = [(severity, len(report.of(severity))) for severity in Severity]
    parts = [f"{count} {severity.value}{'s' if count > 1 else ''}" for severity, count in counts if count]
    show.result(", ".join(parts) if parts else "nothing found")
