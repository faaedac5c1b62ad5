"""A picture of `reachy-kit top`: a simulated robot behind its daemon, driven by a bundle that publishes.

.venv/bin/python tests/browser/top_screen.py look_at.bundle reachy_kit/images/top.svg
"""

import io
import sys
import threading
import time
from pathlib import Path

from rich.console import Console

from reachy_kit.cli.reporting.top_screen import draw
from reachy_kit.runtime.robots.daemon import DaemonAddress, parse_address
from reachy_kit.workflows.driving.run_plan import RunSettings
from reachy_kit.workflows.run import run
from reachy_kit.workflows.top import RobotWatch

COLUMNS, PORT = 88, 9109
SECONDS = 20.0
"""Length of the run, s; the picture is taken before its end."""


def main(bundle: Path, out: Path) -> None:
    """Draw the screen into an SVG."""
    settings = RunSettings(robot="daemon", perception="detector", seconds=SECONDS, metrics=str(PORT))
    driving = threading.Thread(target=run, args=([bundle], settings))
    driving.start()
    watch = RobotWatch(DaemonAddress("127.0.0.1"), str(PORT))
    while not ((view := watch.look()).run and view.run.ticks > 40 * SECONDS) and driving.is_alive():
        if view.run and view.run.robot and not view.is_driven_by_run:
            watch = RobotWatch(parse_address(view.run.robot), str(PORT))
        time.sleep(1.0)
    driving.join()
    console = Console(width=COLUMNS, record=True, file=io.StringIO(), force_terminal=True, markup=False)
    console.print(draw(view, COLUMNS))
    out.parent.mkdir(exist_ok=True)
    out.write_text(console.export_svg(title=f"reachy-kit top {view.address}"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
