"""A dataset's check: findings, fixes of what can be mended without loss, and a page with pictures.

Try it: reachy-kit dataset check data/look_at --html check.html
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reachy_kit.dataset.checks.finding import Check, Finding, Severity, all_checks, run_checks
from reachy_kit.dataset.checks.fixes import apply_fixes, mending
from reachy_kit.dataset.committed_files import files_in_place
from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.workflows.inputs.reporter import SILENT, Reporter

_ROUNDS = 3
"""Times that a fix may follow from another: words first, then the statistics of their numbers."""


@dataclass(frozen=True)
class DatasetReport:
    """What was found in a dataset."""

    dataset: StoredDataset
    findings: tuple[Finding, ...]
    """Errors first, then warnings, then notes."""
    fixed: tuple[Finding, ...] = ()
    """Findings that were mended, and are gone."""

    @property
    def frames(self) -> int:
        """Number of frames, by the metadata."""
        return sum(entry.length for entry in self.dataset.episodes)

    @property
    def seconds(self) -> float:
        """Length of all episodes, by the declared rate."""
        return self.frames / self.dataset.index.fps

    @property
    def spoilt(self) -> bool:
        """Whether something spoils training."""
        return any(finding.severity is Severity.ERROR for finding in self.findings)

    def of(self, severity: Severity) -> list[Finding]:
        """Findings of a severity."""
        return [finding for finding in self.findings if finding.severity is severity]

    def summary(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "dataset": str(self.dataset.root),
            "episodes": len(self.dataset.episodes),
            "frames": self.frames,
            "fps": self.dataset.index.fps,
            "findings": [_summary(finding) for finding in self.findings],
            "fixed": [_summary(finding) for finding in self.fixed],
        }


def check_dataset(
    root: Path,
    *,
    only: Sequence[str] = (),
    fix: bool = False,
    instruction: str = "",
    html: Path | None = None,
    reporter: Reporter = SILENT,
) -> DatasetReport:
    """Look for what spoils training in a LeRobot v3 dataset of this robot, recorded by this kit or not.

    Args:
        root: folder of the dataset.
        only: numbers of the findings to look for; all without any.
        fix: whether to mend what can be mended without loss.
        instruction: words for the episodes that have none; only with ``fix``.
        html: page to write.
        reporter: shows the progress.

    Returns:
        What was found, after the fixes.

    Raises:
        WrongUseError: there is not such a finding, or the folder holds something else.
        RefusedError: the metadata cannot be read, or the dataset is of another robot.
        KitError: it cannot be mended, or the page cannot be written.
    """
    if instruction and not fix:
        raise WrongUseError("--instruction says what unlabelled episodes show: give --fix too")
    chosen = _chosen(only)
    if html is not None:
        from reachy_policies.evaluation.report.page import check_page_file

        check_page_file(html)
    with contextlib.ExitStack() as stack:
        if fix:
            stack.enter_context(mending(root))
        report = _check(root, chosen, reporter)
        if fix:
            report = _fix(report, chosen, instruction, reporter)
    if html is not None:
        from reachy_policies.evaluation.report.dataset_page import dataset_page
        from reachy_policies.evaluation.report.page import write_page

        with reporter.working("drawing the page"):
            write_page(html, dataset_page(report.dataset, report.findings, report.fixed))
    return report


def _fix(report: DatasetReport, chosen: Sequence[Check], instruction: str, reporter: Reporter) -> DatasetReport:
    """Mend what was found, and what mending it has made stale."""
    root, fixed = report.dataset.root, list[Finding]()
    for _ in range(_ROUNDS):
        mended = [finding for finding in report.findings if _is_fixed(finding, instruction)]
        if not mended:
            break
        with reporter.working("mending"):
            apply_fixes(root, [finding.number for finding in mended], instruction)
        report = _check(root, chosen, reporter)
        left = {finding.number for finding in report.findings}
        fixed += [finding for finding in mended if finding.number not in left | {other.number for other in fixed}]
    return replace(report, fixed=tuple(fixed))


def _is_fixed(finding: Finding, instruction: str) -> bool:
    return finding.fixable and (bool(instruction) or not finding.needs_words)


def _check(root: Path, chosen: Sequence[Check], reporter: Reporter) -> DatasetReport:
    with files_in_place(root):
        dataset = StoredDataset(root)
        with reporter.progress("checking", total=len(chosen)) as advance:
            findings = list(run_checks(dataset, chosen, advance))
    order = list(Severity)
    return DatasetReport(
        dataset, tuple(sorted(findings, key=lambda finding: (order.index(finding.severity), finding.number)))
    )


def _chosen(only: Sequence[str]) -> Sequence[Check]:
    checks = all_checks()
    wanted = [number.upper() for number in only]
    known = {check.number for check in checks}
    if unknown := [number for number in wanted if number not in known]:
        raise WrongUseError(f"--only {unknown[0]} does not exist; there are {', '.join(sorted(known))}")
    return [check for check in checks if not wanted or check.number in wanted]


def _summary(finding: Finding) -> dict[str, Any]:
    return {
        "number": finding.number,
        "severity": finding.severity.value,
        "title": finding.title,
        "message": finding.message,
        "remedy": finding.remedy,
        "command": finding.command,
        "episodes": list(finding.episodes),
        "fixable": finding.fixable,
    }
