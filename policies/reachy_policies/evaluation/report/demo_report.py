"""Report of the demo: learning curves, evaluations, and frames of the head camera."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.interface import CAMERA, Image
from reachy_policies.evaluation.policy_evaluation import Evaluation
from reachy_policies.evaluation.report.page import (
    Block,
    Gallery,
    Page,
    Section,
    TableBlock,
    Text,
    encode_png,
    image_media,
    plot,
    write_page,
)
from reachy_policies.evaluation.report.report_plots import error_over_time_plot
from reachy_policies.evaluation.report.tables import evaluation_table
from reachy_policies.runs.run_files import CURVE_PNG

if TYPE_CHECKING:
    from reachy_policies.runs.saved_run import Run

FRAMES = 6


@dataclass(frozen=True)
class DemoReport:
    """Contents of the report."""

    instruction: str
    """The task in words."""
    runs: "list[Run]"
    """Runs: an imitation, and the reinforcement learning that continued from it."""
    evaluations: list[Evaluation]
    """Evaluations, a row each; images show the first episode of the last one."""
    differences: list[str]
    """Lines that compare daemon and simulator."""
    portraits: list[Image]
    """The robot at the first and the last instant of that episode; empty where rendering is not possible."""
    tolerance: float
    """Largest error that counts as success, in the unit of ``Truth.task_error``."""
    portrait_path: Path
    """PNG file for both portraits side by side."""
    seconds: float
    """Wall time of the whole demo so far, s."""


def write_demo_report(path: Path, report: DemoReport) -> None:
    """Write the page, and the portraits as an image file of their own.

    Raises:
        KitError: a file cannot be written.
    """
    if report.portraits:
        try:
            report.portrait_path.write_bytes(encode_png(np.hstack(report.portraits)))
        except OSError as error:
            raise KitError(f"the image {report.portrait_path} cannot be written: {error}") from error
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
        f", then improved by reinforcement learning in {card.seconds:.0f} s in the simulator" for card in others
    )
    name = report.evaluations[-1].policy
    captions = [f"{when} of the first episode of “{name}”, drawn from the measured pose." for when in _INSTANTS]
    portraits = [
        image_media(image, "the robot and the ball", caption)
        for image, caption in zip(report.portraits, captions, strict=False)
    ]
    return [
        Text(
            f"Imitated from {first.episodes} demonstrations in {first.seconds:.0f} s{improved}; everything on this "
            f"page took {report.seconds:.0f} s."
        ),
        *([Gallery(portraits, columns=2)] if portraits else []),
    ]


_INSTANTS = ("At the start", "At the end")


def _results(report: DemoReport) -> list[Block]:
    error = report.evaluations[0].error
    return [
        TableBlock(evaluation_table("", report.evaluations)),
        Text(
            f"Success: the gaze stays within {error.text(report.tolerance, 0)} of the ball for a whole second. Every "
            "row starts from the same initial states. The interval is Wilson's; it is about these episodes and this "
            "one training, not about trainings in general. The loop's period should be 20 ms; the simulator does not "
            "wait, so there the work of a tick is shown instead."
        ),
        *(Text(f"{line}.") for line in report.differences),
    ]


def _camera(evaluation: Evaluation) -> list[Section]:
    """Camera frames of the first episode; empty where the robot has no camera."""
    frames = _frames(evaluation)
    if not frames:
        return []
    media = [image_media(image, "camera frame", f"{time:.1f} s") for time, image in frames]
    words = (
        "Frames of the head camera during one episode. The policy never sees them: OpenCV finds the ball, and the "
        "policy decides on its bearing."
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
        f", then iteration {card.steps} of {card.method} ({card.env_steps} decisions, {card.tier} tier)"
        for card in others
    )
    versions = ", ".join(f"{name} {version}" for name, version in first.versions.items())
    held_out = ", ".join(map(str, first.held_out))
    return (
        f"Dataset {first.dataset}, sha256 {first.dataset_sha256}; seed {first.seed}; kept step {first.steps}"
        f"{improved}; held-out episodes {held_out}; {versions}."
    )
