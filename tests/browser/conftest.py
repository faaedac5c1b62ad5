"""`reachy-kit view` in a process of its own, and Chromium with its page."""

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

REACHY_KIT = Path(sys.executable).with_name("reachy-kit")
CHROMIUM = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # no page reaches beyond this computer
]
WEBGL = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
NO_WEBGL = ["--disable-3d-apis"]


def until(condition: Callable[[], Any], within: float = 40.0) -> Any:
    """Wait for a condition, and return its result."""
    deadline = time.monotonic() + within
    while not (result := condition()):
        assert time.monotonic() < deadline, f"{condition} did not come true within {within} s"
        time.sleep(0.05)
    return result


@pytest.fixture(name="until", scope="session")
def until_fixture() -> Callable[..., Any]:
    return until


class Viewer:
    """A running viewer from outside: its process, its output, and its page.

    Args:
        folder: where it writes what it prints.
        arguments: of the command.
    """

    def __init__(self, folder: Path, *arguments: object) -> None:
        self._printed = folder / "printed"
        command = [REACHY_KIT, "view", "--no-browser", "--port", 0, *arguments]
        with self._printed.open("wb") as printed:
            self.process = subprocess.Popen(
                [str(one) for one in command], stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT
            )
        self.url = until(self._address)

    @property
    def printed(self) -> str:
        return self._printed.read_text()

    def _address(self) -> str | None:
        assert self.process.poll() is None, self.printed
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

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@pytest.fixture
def start_viewer(tmp_path: Path) -> Iterator[Callable[..., Viewer]]:
    """Starts viewers, and ends what a failed test has left running."""
    started: list[Viewer] = []

    def start(*arguments: object) -> Viewer:
        started.append(Viewer(tmp_path, *arguments))
        return started[-1]

    yield start
    for viewer in started:
        viewer.end()


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where it is: Debian's package, put there by `.ci/setup --browser`."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert found, "no Chromium here: .ci/setup --browser installs it"
    return found


@pytest.fixture
def open_page(chromium: str) -> Iterator[Callable[..., Page]]:
    """Opens a page in a browser with or without WebGL."""
    browsers: list[Browser] = []
    with sync_playwright() as playwright:

        def open_one(url: str, *, webgl: bool, width: int = 760, height: int = 480) -> Page:
            flags = CHROMIUM + (WEBGL if webgl else NO_WEBGL)
            browsers.append(playwright.chromium.launch(executable_path=chromium, args=flags))
            page = browsers[-1].new_page(viewport={"width": width, "height": height})
            page.set_default_timeout(40_000)
            page.goto(url)
            return page

        yield open_one
        for browser in browsers:
            browser.close()
