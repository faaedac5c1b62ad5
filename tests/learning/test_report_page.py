"""A report page: every kind of block is shown, inside one file, and its text is escaped."""

import re

import numpy as np
import pytest

from reachy_kit.runtime.errors import KitError
from reachy_policies.evaluation.report.page import (
    Command,
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
from reachy_policies.evaluation.report.tables import Table

IMAGE = np.zeros((4, 6, 3), np.uint8)
TABLE = Table("", ("variant", "policy", "p"), (("late", "a", "0.1"), ("late", "b", "0.2"), ("noisy", "a", "0.3")))


def page_with(*blocks, folded=False):
    return Page("title", "heading", [Section("section", blocks, folded)])


@pytest.fixture
def write(tmp_path):
    """Write a page; return its text."""

    def write(page):
        write_page(tmp_path / "page.html", page)
        return (tmp_path / "page.html").read_text()

    return write


def test_text_is_escaped(write):
    text = write(page_with(Text("a < b & c"), Command("eval <run>"), TableBlock(Table("", ("<p>",), (("<i>",),)))))
    assert "a &lt; b &amp; c" in text
    assert "<code>eval &lt;run&gt;</code>" in text
    assert "&lt;p&gt;" in text
    assert "&lt;i&gt;" in text


def test_successive_rows_share_their_first_cell(write):
    text = write(page_with(TableBlock(TABLE)))
    assert re.findall(r'<td class="first words"([^>]*)>(\w+)</td>', text) == [(' rowspan="2"', "late"), ("", "noisy")]
    assert re.findall(r"<td>([\d.]+)</td>", text) == ["0.1", "0.2", "0.3"]


def test_plots_images_and_films_are_inside_the_page(write):
    film = Media("video/mp4", b"film", "an episode", "the worst")
    image = image_media(IMAGE, "the robot", "at the start")
    text = write(page_with(plot(b"plot", "curve"), Gallery([image, film], columns=2)))
    assert re.findall(r'src="data:([\w/]+);base64,', text) == ["image/png", "image/png", "video/mp4"]
    assert re.findall(r"<figcaption>(.*?)</figcaption>", text) == ["at the start", "the worst"]
    assert 'alt="the robot"' in text


def test_a_folded_section_shows_its_heading_only(write):
    assert "<summary>section</summary>" in write(page_with(Text("x"), folded=True))
    assert "<h2>section</h2>" in write(page_with(Text("x")))


def test_a_page_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(KitError, match="cannot be written"):
        write_page(tmp_path, page_with(Text("x")))
