"""The demo's report: one HTML file that needs nothing beside it."""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from jinja2 import Environment, PackageLoader, select_autoescape

from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.interface import CAMERA, Image
from reachy_policies.evaluation.episodes import Evaluation
from reachy_policies.evaluation.report.cells import row
from reachy_policies.plots import error_over_time

if TYPE_CHECKING:
    from reachy_policies.runs.run import Run

FRAMES = 6


@dataclass(frozen=True)
class Report:
    """What the page shows."""

    instruction: str
    """The task in words."""
    runs: "list[Run]"
    """What was learned, each improved from the one before."""
    results: list[Evaluation]
    """A row each; the last one's first episode is shown in pictures."""
    differences: list[str]
    """Daemon against simulator, a line each."""
    portraits: list[Image]
    """The robot at the first and the last instant of that episode; empty where nothing can be drawn."""
    tolerance: float
    """Of ``Truth.task_error``: a smaller one counts as doing it."""
    picture: Path
    """Where to put the first and the last instant side by side, as a PNG of its own."""
    seconds: float
    """Wall time of the whole demo so far."""


def write_report(path: Path, report: Report) -> None:
    """Write the page, and its picture once more beside it.

    Raises:
        KitError: it cannot be written.
    """
    environment = Environment(
        loader=PackageLoader("reachy_policies.evaluation.report", "."), autoescape=select_autoescape(["html"])
    )
    page = environment.get_template("demo_report.html").render(
        report=report,
        rows=[row(one) for one in report.results],
        cards=[run.card for run in report.runs],
        curves=[_data_url((run.path / "curve.png").read_bytes()) for run in report.runs],
        errors=_data_url(error_over_time(report.results, report.tolerance)),
        frames=[
            {"time": f"{time:.1f} s", "image": _data_url(_png(image))} for time, image in _frames(report.results[-1])
        ],
        portraits=[_data_url(_png(image)) for image in report.portraits],
    )
    try:
        if report.portraits:
            report.picture.write_bytes(_png(np.hstack(report.portraits)))
        path.write_text(page)
    except OSError as error:
        raise KitError(f"the report {path} cannot be written: {error}") from error


def _frames(shown: Evaluation) -> list[tuple[float, Image]]:
    """A few camera frames, evenly over the first episode, with the time since its start."""
    seen = [step for step in shown.first_episode if CAMERA in step.observation.images]
    if not seen:
        return []
    begin = seen[0].observation.capture_time
    chosen = np.linspace(0, len(seen) - 1, FRAMES).round().astype(int)
    return [(seen[i].observation.capture_time - begin, seen[i].observation.images[CAMERA]) for i in chosen]


def _png(image: Image) -> bytes:
    return cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()


def _data_url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
