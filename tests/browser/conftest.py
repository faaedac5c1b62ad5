"""`reachy-kit view` in a process of its own, and Chromium with its page."""

import json
import re
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from ..commands.command import Command, Kit, until

CHROMIUM = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # no page reaches beyond this computer
]
WEBGL = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
NO_WEBGL = ["--disable-3d-apis"]


class Viewer:
    """A running viewer from outside: its process, its output, and its page."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.url = until(self._address)

    @property
    def printed(self) -> str:
        return self.command.out + self.command.err

    def _address(self) -> str | None:
        assert self.command.poll() is None, self.printed
        found = re.search(r"http://\S+", self.printed)
        return found.group() if found else None

    @property
    def state(self) -> dict[str, Any]:
        """State that the plain page requests."""
        with urllib.request.urlopen(f"{self.url}/state", timeout=10) as answer:
            return json.load(answer)

    def measured(self, axis: str) -> float:
        """Degrees or millimetres, by the label of the axis."""
        return next(one["measured"] for one in self.state["axes"] if one["label"].startswith(axis))


@pytest.fixture
def start_viewer(kit: Kit) -> Callable[..., Viewer]:
    """Starts viewers."""
    return lambda *arguments: Viewer(kit.start("view", "--no-browser", "--port", 0, *arguments))


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where it is: Debian's package, put there by `.ci/setup --browser`."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert found, "no Chromium here: .ci/setup --browser installs it"
    return found


@pytest.fixture(scope="module")  # a longer one would leave an event loop running under other tests
def browsers(chromium: str) -> Iterator[dict[bool, Browser]]:
    """A browser with WebGL and one without, each started when it is first needed."""
    with sync_playwright() as playwright:

        class Browsers(dict[bool, Browser]):
            def __missing__(self, webgl: bool) -> Browser:
                flags = CHROMIUM + (WEBGL if webgl else NO_WEBGL)
                self[webgl] = playwright.chromium.launch(executable_path=chromium, args=flags)
                return self[webgl]

        started = Browsers()
        yield started
        for browser in started.values():
            browser.close()


@pytest.fixture
def open_page(browsers: dict[bool, Browser]) -> Iterator[Callable[..., Page]]:
    """Opens a page in a browser with or without WebGL."""
    pages: list[Page] = []

    def open_one(url: str, *, webgl: bool, width: int = 760, height: int = 480) -> Page:
        pages.append(browsers[webgl].new_page(viewport={"width": width, "height": height}))
        pages[-1].set_default_timeout(40_000)
        pages[-1].goto(url)
        return pages[-1]

    yield open_one
    for page in pages:
        page.close()
