"""A comparison of arms as one HTML file that needs nothing beside it."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, PackageLoader, select_autoescape

from reachy_kit.runtime.errors import KitError
from reachy_policies.evaluation.compare import Compared
from reachy_policies.evaluation.report.report_figures import errors_over_time, intervals
from reachy_policies.evaluation.report.summary import AGAINST_COLUMNS, SCORE_COLUMNS, against_rows, remarks, score_rows


@dataclass(frozen=True)
class Film:
    """A film and what it shows."""

    words: str
    mp4: bytes


@dataclass(frozen=True)
class Page:
    """What the page shows."""

    compared: Compared
    task: str
    instruction: str
    """The task in words."""
    tier: str
    films: Sequence[Film]
    films_missing: str
    """Why there are none, in words; empty where nothing is missing."""
    versions: Mapping[str, str]
    command: str
    """That made the page."""


def write_page(path: Path, page: Page) -> None:
    """Write it.

    Raises:
        KitError: it cannot be written.
    """
    compared = page.compared
    environment = Environment(
        loader=PackageLoader("reachy_policies.evaluation.report", "."), autoescape=select_autoescape(["html"])
    )
    text = environment.get_template("comparison_page.html").render(
        page=page,
        compared=compared,
        config=compared.config,
        remarks=remarks(compared),
        score_columns=SCORE_COLUMNS,
        against_columns=AGAINST_COLUMNS,
        scores=_by_variant(score_rows(compared)),
        against=_by_variant(against_rows(compared)),
        equal=_by_variant(against_rows(compared, equal_return=True)),
        intervals=_data_url("image/png", intervals(compared)),
        errors=_data_url("image/png", errors_over_time(compared)),
        films=[(film.words, _data_url("video/mp4", film.mp4)) for film in page.films],
    )
    try:
        path.write_text(text)
    except OSError as error:
        raise KitError(f"the page {path} cannot be written: {error}") from error


def _by_variant(rows: list[tuple[str, list[str]]]) -> list[tuple[str, list[list[str]]]]:
    return [(variant, [row for _, row in some]) for variant, some in groupby(rows, key=lambda pair: pair[0])]


def _data_url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
