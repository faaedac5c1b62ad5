"""The demo's film: expert and learners side by side in the same episode, drawn from what the robot measured.

Try it: reachy-kit demo
"""

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np

from reachy_kit.workflows.inputs.reporter import SILENT, Reporter

if TYPE_CHECKING:
    from reachy_policies.evaluation.policy_evaluation import Evaluation
    from reachy_policies.evaluation.report.demo_report import DemoFilm
    from reachy_policies.evaluation.report.side_by_side_film import SideBySideFilm
    from reachy_sim.tasks.task import Task

EVERY = 2
"""Decisions per frame: a film at 12.5 Hz. A frame takes 0.15 s to draw."""
_COLUMN = 352
"""Width of each policy's images, px."""
_WEBP_SCALE = 0.75
"""Size of the animated image in sizes of the film; GitHub shows it about as wide."""


def render_film(
    heading: str, evaluations: "Sequence[Evaluation]", task: "Task", reporter: Reporter = SILENT
) -> "DemoFilm":
    """Film one episode of several evaluations.

    The episode is the first one in which the first policy fails; if there is none, the first.

    Args:
        heading: one line above the film.
        evaluations: of the same seeds, from left to right, the expert's first; their policies' names become labels.
        task: that they carried out.
        reporter: shows the progress.

    Returns:
        The film.

    Raises:
        KitError: no off-screen renderer works here.
    """
    import cv2

    from reachy_policies.evaluation.report.demo_report import DemoFilm
    from reachy_policies.evaluation.report.film_files import MP4, WEBP, FilmEncoder
    from reachy_policies.evaluation.report.page import encode_png
    from reachy_sim.rendering.gaze_views import GazeViews

    index, fps = _choose_episode(evaluations), evaluations[0].policy_hz / EVERY
    steps = range(EVERY - 1, evaluations[0].states.shape[1], EVERY)
    mp4, webp = FilmEncoder(MP4, fps), FilmEncoder(WEBP, fps)
    with closing(GazeViews(_COLUMN, evaluations[0].targets[index], task.tolerance)) as views:
        page = _page(heading, evaluations, index, steps, task, views.shape)
        with reporter.progress("film", total=len(steps)) as advance:
            for number, step in enumerate(steps):
                images = [
                    views.render(each.states[index, step], each.targets[index, step], each.task_errors[index, step])
                    for each in evaluations
                ]
                frame = page.frame(number, images)
                mp4.add(frame)
                size = [round(_WEBP_SCALE * pixels / 2) * 2 for pixels in frame.shape[1::-1]]
                webp.add(cv2.resize(frame, size, interpolation=cv2.INTER_AREA))
                advance()
    return DemoFilm(mp4.finish(), webp.finish(), encode_png(frame), _caption(evaluations, index))


def _choose_episode(evaluations: "Sequence[Evaluation]") -> int:
    """Index of the first episode in which the expert fails; 0 if there is none."""
    return next((index for index, success in enumerate(evaluations[0].successes) if not success), 0)


def _page(
    heading: str,
    evaluations: "Sequence[Evaluation]",
    index: int,
    steps: range,
    task: "Task",
    shape: tuple[int, int, int],
) -> "SideBySideFilm":
    from reachy_policies.evaluation.report.side_by_side_film import FilmColumn, SideBySideFilm

    error, hz, tolerance = evaluations[0].error, evaluations[0].policy_hz, task.tolerance
    within = error.text(tolerance, 0)
    columns = [
        FilmColumn(
            evaluation.policy.removesuffix(", sim"),
            f"{sum(evaluation.successes)} of {len(evaluation.successes)} episodes succeed",
            error.scale * evaluation.task_errors[index, steps],
            np.cumsum(evaluation.task_errors[index] <= tolerance)[steps] / hz,
        )
        for evaluation in evaluations
    ]
    remark = (
        f"Top: the robot, its line of gaze, and the ball. Middle: its camera; the ring marks {within}. "
        f"Bottom: {error.name}; success takes {task.hold:g} s within {within}."
    )
    return SideBySideFilm(heading, columns, shape, error, error.scale * tolerance, hz / EVERY, remark)


def _caption(evaluations: "Sequence[Evaluation]", index: int) -> str:
    seed, outcomes = evaluations[0].episodes[index].seed, [evaluation.successes[index] for evaluation in evaluations]
    why = "the first one" if outcomes[0] else "the first one in which the expert fails"
    words = ", ".join(
        f"“{evaluation.policy}” {'succeeds' if success else 'fails'}"
        for evaluation, success in zip(evaluations, outcomes, strict=True)
    )
    return f"Episode {seed}, {why}: {words}. The same start and the same path of the ball for each, in real time."
