"""A picture of the recording screen: two seconds of a take on the simulated robot, as the terminal shows them.

.venv/bin/python tests/browser/recording_screen.py reachy_kit/images/recording_screen.png
"""

import io
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright
from rich.console import Console

from reachy_kit.cli.reporting.recording_screen import draw
from reachy_kit.runtime.recording.takes.live_view import LiveView, Phase
from reachy_kit.runtime.recording.takes.take_keys import SESSION_CONTROLS
from reachy_kit.runtime.rollout import rollout
from reachy_kit.runtime.teleop.keyboard_device import KeyboardTeleoperator
from reachy_kit.workflows.inputs.session import open_session
from reachy_sim.tasks import single_expert_policy, variant_by_name

COLUMNS, ROWS = 104, 26


def main(out: Path) -> None:
    """Draw the screen into a PNG."""
    variant = variant_by_name("look_at", "training")
    view = LiveView("keyboard", "sim", 25, KeyboardTeleoperator.controls, SESSION_CONTROLS, Phase.RECORDING)
    view.episodes, view.wanted, view.operator, view.instructions = 3, 10, "anna", 2
    view.instruction, view.error = variant.task.instruction, variant.task.spec.error
    with open_session("sim", variant) as session:
        view.features = session.perception.names
        rollout(
            session.robot,
            single_expert_policy("look_at", 25, 1_000_003),
            seconds=0.72,
            policy_hz=25,
            seed=1_000_003,
            perception=session.perception,
            world=session.world,
            subscribers=[view],
            on_tick=view.follow,
        )
    view.phase = Phase.RECORDING
    view.say("take 1000002 kept as episode 2: 4.1 s, success")
    console = Console(width=COLUMNS, height=ROWS, record=True, file=io.StringIO(), force_terminal=True)
    console.print(draw(view, COLUMNS, ROWS))
    svg = console.export_svg(title="reachy-kit record --teleop keyboard")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.set_content(f"<body style='margin:0'>{svg}</body>")
        page.locator("svg").screenshot(path=out, omit_background=True)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
