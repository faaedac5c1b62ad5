"""Report page: sections of text, tables, figures, images and films as one HTML file with everything inside."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import cv2

from reachy_kit.runtime.durable_files import check_file
from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.interface import Image
from reachy_policies.evaluation.report.tables import Table


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar = "text"
    text: str


@dataclass(frozen=True)
class Command:
    """A command line."""

    kind: ClassVar = "command"
    text: str


@dataclass(frozen=True)
class TableBlock:
    """A table, without its title."""

    kind: ClassVar = "table"
    table: Table


@dataclass(frozen=True)
class Media:
    """An image or a film inside the page, and what it shows."""

    mime: str
    content: bytes
    description: str
    """Alternative text of an image."""
    caption: str = ""
    poster: bytes = b""
    """PNG that a film shows before it plays; its first frame if empty."""

    @property
    def is_film(self) -> bool:
        """Whether it is a film."""
        return self.mime.startswith("video/")

    @property
    def url(self) -> str:
        """The content itself as a URL, so that the page needs no other file."""
        return _data_url(self.mime, self.content)

    @property
    def poster_url(self) -> str:
        """The poster as a URL; empty without one."""
        return _data_url("image/png", self.poster) if self.poster else ""


@dataclass(frozen=True)
class Figure:
    """A plot, over the page's width."""

    kind: ClassVar = "figure"
    media: Media


@dataclass(frozen=True)
class Gallery:
    """Images or films side by side."""

    kind: ClassVar = "gallery"
    media: Sequence[Media]
    columns: int


type Block = Text | Command | TableBlock | Figure | Gallery


@dataclass(frozen=True)
class Section:
    """Blocks under a heading; the first section of a page has none."""

    heading: str
    blocks: Sequence[Block]
    folded: bool = False
    """Whether only the heading shows until it is clicked."""


@dataclass(frozen=True)
class Page:
    """A report of sections."""

    title: str
    """Title of the window."""
    heading: str
    sections: Sequence[Section]


def write_page(path: Path, page: Page) -> None:
    """Write a page as one HTML file.

    Raises:
        KitError: the file cannot be written.
    """
    from jinja2 import Environment, PackageLoader, select_autoescape  # eval checks a page's file without it

    environment = Environment(
        loader=PackageLoader("reachy_policies.evaluation.report", "."),
        autoescape=select_autoescape(["html"]),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("page.html").render(page=page)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise KitError(f"the page {path} cannot be written: {error}") from error


def check_page_file(path: Path, option: str = "--html") -> None:
    """Check before the work that a page can be written, in the place of an earlier one at most.

    Args:
        path: file to be written.
        option: of the command, for messages.

    Raises:
        WrongUseError: it is a folder, or its folder does not exist.
        RefusedError: another file would be overwritten.
        KitError: the disk is full.
    """
    check_file(path, "a page of reachy-kit", _is_page, option)


def _is_page(path: Path) -> bool:
    with path.open("rb") as file:
        return b"<title>reachy_kit: " in file.read(512)


def plot(png: bytes, description: str, caption: str = "") -> Figure:
    """Put a plot on the page, given as PNG."""
    return Figure(Media("image/png", png, description, caption))


def image_media(image: Image, description: str, caption: str = "") -> Media:
    """Put a camera or rendered image on the page."""
    return Media("image/png", encode_png(image), description, caption)


def _data_url(mime: str, content: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


def encode_png(image: Image) -> bytes:
    """Encode an RGB image, uint8 (H, W, 3), as PNG."""
    return cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()
