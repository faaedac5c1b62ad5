"""Report of the demo: what was learned, a film of it, the evaluations, the learning curves."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.interface import CAMERA, Image
from reachy_policies.evaluation.expert_comparison import ExpertComparison
from reachy_policies.evaluation.policy_evaluation import Evaluation
from reachy_policies.evaluation.report.page import (
    Block,
    Gallery,
    Media,
    Page,
    Section,
    TableBlock,
    Text,
    image_media,
    plot,
    write_page,
)
from reachy_policies.evaluation.report.report_plots import error_over_time_plot
from reachy_policies.evaluation.report.tables import column_notes, evaluation_table
from reachy_policies.runs.run_files import CURVE_PNG

if TYPE_CHECKING:
    from reachy_policies.runs.saved_run import Run

FRAMES = 6


@dataclass(frozen=True)
class DemoFilm:
    """Expert and learners side by side in one episode."""

    mp4: bytes
    webp: bytes
    """The same, smaller, as an animated image."""
    poster: bytes
    """PNG of its last frame."""
    caption: str

    def write(self, folder: Path) -> None:
        """Write ``demo.mp4``, ``demo.webp`` and ``demo.png``.

        Raises:
            KitError: a file cannot be written.
        """
        for suffix, content in (("mp4", self.mp4), ("webp", self.webp), ("png", self.poster)):
            path = folder / f"demo.{suffix}"
            try:
                path.write_bytes(content)
            except OSError as error:
                raise KitError(f"the film {path} cannot be written: {error}") from error


@dataclass(frozen=True)
class DemoReport:
    """Contents of the report."""

    instruction: str
    """The task in words."""
    runs: "list[Run]"
    """Runs: an imitation, and the reinforcement learning that continued from it."""
    evaluations: list[Evaluation]
    """Evaluations, a row each; camera frames show the first episode of the last one."""
    success: str
    """What counts as success, as a sentence."""
    against_expert: list[ExpertComparison]
    """The learners against the expert."""
    differences: list[str]
    """Lines that compare daemon and simulator."""
    film: DemoFilm | None
    no_film: str
    """Reason for which there is no film; empty where there is one."""
    tolerance: float
    """Largest error that counts as success, in the unit of ``Truth.task_error``."""
    stages: dict[str, float]
    """Wall time of each stage, s."""


def write_demo_report(path: Path, report: DemoReport) -> None:
    """Write the page, and the film as files of its own beside it.

    Raises:
        KitError: a file cannot be written.
    """
    if report.film:
        report.film.write(path.parent)
    write_page(path, demo_page(report))


def demo_page(report: DemoReport) -> Page:
    """Lay out the report as a page."""
    error = report.evaluations[0].error
    sections = [
        Section("", _overview(report)),
        Section("Evaluation", _results(report)),
        Section(f"{error.name.capitalize()} over time", [
            plot(
                error_over_time_plot(report.evaluations, report.tolerance),
                f"median {error.name} over the seconds of an episode, with quartiles",
            )
        ]),
        *_camera(report.evaluations[-1]),
        Section("Learning curves", _curves(report)),
        Section("Provenance", [Text(_provenance(report))], folded=True),
    ]  # fmt: skip
    return Page("what the robot learned", f"“{report.instruction}”", sections)


def _overview(report: DemoReport) -> list[Block]:
    first, *others = [run.card for run in report.runs]
    improved = "".join(
        f", then improved by reinforcement learning (rl) in {card.seconds:.0f} s in the simulator" for card in others
    )
    total, stages = (
        sum(report.stages.values()),
        ", ".join(f"{name} {took:.0f} s" for name, took in report.stages.items()),
    )
    return [
        *(Text(f"{comparison.sentence}.") for comparison in reversed(report.against_expert)),
        *_film(report),
        Text(
            f"Imitated from {first.episodes} demonstrations in {first.seconds:.0f} s{improved}; everything on this "
            f"page took {total:.0f} s: {stages}."
        ),
    ]  # fmt: skip


def _film(report: DemoReport) -> list[Block]:
    film = report.film
    if film is None:
        return [Text(f"There is no film: {report.no_film}")]
    return [Gallery([Media("video/mp4", film.mp4, "film of the episode", film.caption, film.poster)], columns=1)]


def _results(report: DemoReport) -> list[Block]:
    return [
        TableBlock(evaluation_table("", report.evaluations)),
        Text(f"{report.success} Every row starts from the same initial states."),
        *(Text(note) for note in column_notes(report.evaluations)),
        *(Text(f"{line}.") for line in report.differences),
    ]


def _camera(evaluation: Evaluation) -> list[Section]:
    """Camera frames of the first episode; empty where the robot has no camera."""
    frames = _frames(evaluation)
    if not frames:
        return []
    media = [image_media(image, "camera frame", f"{time:.1f} s") for time, image in frames]
    words = (
        f"Frames of the head camera in the first episode of “{evaluation.policy}”. The policy never sees them: OpenCV "
        "finds the ball, and the policy decides on its bearing."
    )
    return [Section("Frames of the head camera", [Gallery(media, columns=FRAMES), Text(words)])]


def _frames(evaluation: Evaluation) -> list[tuple[float, Image]]:
    """Select camera frames evenly over the first episode, with the time since its start, s."""
    steps = [step for step in evaluation.first_episode if CAMERA in step.observation.images]
    if not steps:
        return []
    start = steps[0].observation.capture_time
    chosen = np.linspace(0, len(steps) - 1, FRAMES).round().astype(int)
    return [(steps[i].observation.capture_time - start, steps[i].observation.images[CAMERA]) for i in chosen]


def _curves(report: DemoReport) -> list[Block]:
    captions = [
        "Imitation: loss and error on held-out demonstrations.",
        "Reinforcement learning: success and error on held-out episodes, and how far the policy moved from the "
        "imitation.",
    ]
    return [
        plot((run.path / CURVE_PNG).read_bytes(), "learning curve", caption)
        for run, caption in zip(report.runs, captions, strict=True)
    ]


def _provenance(report: DemoReport) -> str:
    first, *others = [run.card for run in report.runs]
    improved = "".join(
        f", then iteration {card.steps} of {card.method} ({card.env_steps} decisions, {card.tier} tier, variant "
        f"{card.variant})"
        for card in others
    )
    versions = ", ".join(f"{name} {version}" for name, version in first.versions.items())
    held_out = ", ".join(map(str, first.held_out))
    return (
        f"Dataset {first.dataset}, sha256 {first.dataset_sha256}; seed {first.seed}; kept step {first.steps}"
        f"{improved}; held-out episodes {held_out}; {versions}."
    )
