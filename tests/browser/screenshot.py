"""The image of the viewer in sim/README.md.

Try it: .venv/bin/python tests/browser/screenshot.py sim/images/viewer.png
"""

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import sync_playwright

REACHY_KIT = Path(sys.executable).with_name("reachy-kit")
SEED, INSTANT = 6, 3.6
"""An episode, and s into it, in which the robot looks at the ball with its antennas up."""
FLAGS = "--headless --no-sandbox --disable-gpu --use-gl=angle --use-angle=swiftshader --enable-unsafe-swiftshader"


def take(out: Path) -> None:
    command = [REACHY_KIT, "view", "--no-browser", "--port", "0", "--seed", str(SEED), "--paused"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as viewer, sync_playwright() as playwright:
        assert viewer.stderr
        found = re.search(r"http://\S+", viewer.stderr.readline())
        assert found, "the viewer did not start"
        url = found.group()
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS.split())
        page = chromium.new_page(viewport={"width": 1280, "height": 800})
        page.goto(url)
        page.wait_for_selector("[data-time]", state="attached", timeout=60_000)
        press(url, "pause")
        while json.load(urllib.request.urlopen(f"{url}/state"))["time"] < INSTANT:
            time.sleep(0.02)
        press(url, "pause")
        page.wait_for_function(
            f"Number(document.querySelector('[data-time]').textContent) >= {INSTANT}", timeout=60_000
        )
        page.add_style_tag(content=".mantine-Notification-root { display: none }")  # it warns of the missing card
        page.wait_for_timeout(8_000)  # the last change is on its way to the canvas; nothing tells when it is drawn
        page.screenshot(path=out, timeout=120_000)
        chromium.close()
        viewer.terminate()


def press(url: str, button: str) -> None:
    urllib.request.urlopen(urllib.request.Request(f"{url}/{button}", method="POST"))


if __name__ == "__main__":
    take(Path(sys.argv[1]))
