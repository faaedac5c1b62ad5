"""Page about a dataset: what was found, and the picture that explains each finding."""

from collections.abc import Sequence

from reachy_kit.dataset.checks.checked_episodes import CheckedEpisodes
from reachy_kit.dataset.checks.finding import Finding, Severity, all_checks
from reachy_kit.dataset.dataset_index import name_episodes
from reachy_kit.dataset.reading import FOR_TRAINING
from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_policies.evaluation.report.dataset_plots import PLOTS
from reachy_policies.evaluation.report.page import Block, Command, Figure, Page, Section, TableBlock, Text, plot
from reachy_policies.evaluation.report.tables import Table

_FEW = 12
"""Episodes that are named one by one in a table."""


def dataset_page(dataset: StoredDataset, findings: Sequence[Finding], fixed: Sequence[Finding] = ()) -> Page:
    """Lay out the findings about a dataset as a page.

    Args:
        dataset: that was checked.
        findings: the worst first.
        fixed: findings that were mended.
    """
    damaged = {index for finding in findings if finding.number == "RK101" for index in finding.episodes}
    episodes = CheckedEpisodes.of_dataset(dataset, without=damaged)
    shown: dict[object, Figure] = {}
    sections = [Section("", _overview(dataset, findings, fixed))]
    for finding in findings:
        sections.append(Section(f"{finding.number}: {finding.title}", _about(finding, episodes, shown)))
    others = [figure for number in PLOTS if (figure := _picture(number, episodes, shown))]
    if others:
        sections.append(Section("Other measurements" if shown and findings else "Measurements", others))
    name = dataset.root.resolve().name
    return Page(f"check of {name}", f"Check of the dataset {name}", sections)


def _overview(dataset: StoredDataset, findings: Sequence[Finding], fixed: Sequence[Finding]) -> list[Block]:
    frames, fps = sum(entry.length for entry in dataset.episodes), dataset.index.fps
    layout = dataset.layout
    said = f" of “{layout.instruction}”" if layout.instruction else ""
    blocks: list[Block] = [
        Text(f"{len(dataset.episodes)} episodes{said}: {frames} frames at {fps} Hz, {frames / fps:.0f} s."),
    ]
    if fixed:
        blocks.append(Text("Mended: " + ", ".join(f"{finding.number} {finding.title}" for finding in fixed) + "."))
    if not findings:
        return [*blocks, Text("Nothing was found.")]
    rows = tuple(
        (finding.severity.value, finding.number, finding.title, _name(finding.episodes)) for finding in findings
    )
    words = ("severity", "number", "finding", "episodes")
    return [*blocks, Text(_verdict(findings)), TableBlock(Table("", words, rows, words))]


def _verdict(findings: Sequence[Finding]) -> str:
    errors = {finding.number for finding in findings if finding.severity is Severity.ERROR}
    if not errors:
        return "Nothing of this keeps a training from starting."
    if errors & {check.number for check in all_checks() if check.aspect in FOR_TRAINING}:
        return "Training refuses this dataset."
    return "Training from images or of LeRobot's policies refuses this dataset."


def _about(finding: Finding, episodes: CheckedEpisodes, shown: dict[object, Figure]) -> list[Block]:
    blocks: list[Block] = [Text(f"{finding.severity.value.capitalize()}: {finding.message}.")]
    if finding.remedy:
        blocks.append(Text(f"{finding.remedy}{':' if finding.command else '.'}"))
    if finding.command:
        blocks.append(Command(finding.command))
    if figure := _picture(finding.number, episodes, shown):
        blocks.append(figure)
    return blocks


def _picture(number: str, episodes: CheckedEpisodes, shown: dict[object, Figure]) -> Figure | None:
    """The picture of a finding, unless it is on the page already."""
    if number not in PLOTS or not len(episodes.indices):
        return None
    draw, description = PLOTS[number]
    if draw in shown or (png := draw(episodes)) is None:
        return None
    shown[draw] = plot(png, description)
    return shown[draw]


def _name(indices: Sequence[int]) -> str:
    if not indices:
        return "all"
    return name_episodes(indices) if len(indices) <= _FEW else f"{len(indices)} episodes"
